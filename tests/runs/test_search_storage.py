"""Trials that a database lists."""

import pytest
import sqlalchemy
from fake_search import Killed, search, settings

from jaxlab.core.types import UserError
from jaxlab.runs.search import records


def test_a_database_lists_trials_of_several_directories(fake, tmp_path):
    """The first directory's machine is gone; what it had begun stays its own, and no number is given twice."""
    url = f"sqlite:///{tmp_path}/trials.db"

    def dies(experiment, epoch):
        raise Killed

    fake.happens = dies
    with pytest.raises(Killed):
        search(tmp_path / "one/run", storage=url)
    fake.happens = lambda *_: None
    assert "2 of 3 trials complete, 1 begun and not finished" in search(tmp_path / "two/run", storage=url)
    assert [one.number for one in records.trials_in(tmp_path / "two/run")] == [1, 2]
    assert "1 of 3 trials complete" in search(tmp_path / "one/run", storage=url)
    with pytest.raises(UserError, match="has a study 'run' of another config already; give another --run"):
        search(tmp_path / "three/run", storage=url, seed=4)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "--storage: expected a database's URL, as postgresql://USER@HOST/NAME"),
        (
            "sqlite:////nowhere/at/all.db",
            r"sqlite:////nowhere/at/all.db does not answer \(unable to open database file\)",
        ),
        (
            "postgresql://me:secret@localhost:1/x",
            r"postgresql://me:\*\*\*@localhost:1/x does not answer .*refused",
        ),
    ],
)
def test_a_storage_that_cannot_be_reached(fake, tmp_path, url, message):
    with pytest.raises(UserError, match=message) as refused:
        search(tmp_path / "run", storage=url)
    assert "secret" not in str(refused.value)


@pytest.mark.slow
def test_a_search_on_postgresql_goes_on_where_its_worker_died(
    fake, undisturbed, monkeypatch, tmp_path, postgres
):
    def dies(experiment, epoch):
        if epoch == 3 and len(fake.trained) in (2, 7):
            fake.trained.append("died")
            raise Killed

    fake.happens = dies
    for _ in range(2):
        with pytest.raises(Killed):
            search(tmp_path / "run", storage=postgres)
    assert "3 of 3 trials complete" in search(tmp_path / "run", storage=postgres)
    assert settings(tmp_path / "run") == undisturbed
    assert [one for one in fake.trained if one != "died"] == [
        one["optimizer.lr"] for one in undisturbed for _ in range(4)
    ]
    engine = sqlalchemy.create_engine(postgres.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        found = connection.execute(sqlalchemy.text("select number, state from trials order by number")).all()
    assert [tuple(one) for one in found] == [(k, "COMPLETE") for k in range(3)]

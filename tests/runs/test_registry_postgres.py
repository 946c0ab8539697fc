"""The same registry in PostgreSQL: claims, takeovers, a rescan, and watchers of which one is killed."""

import time

import postgres
import pytest
from fake_runs import FakeValidate, some_runs, watch
from processes import Process

from jaxlab.runs.registry.claims import STALE, Claims
from jaxlab.runs.registry.listing import lines_of
from jaxlab.runs.registry.place import Place
from jaxlab.runs.registry.store import Registry, RegistryError
from jaxlab.runs.registry.tables import SNAPSHOT
from jaxlab.runs.registry.watch import Watcher, note_directories

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not postgres.PRESENT, reason="no PostgreSQL here")]


@pytest.fixture(scope="module")
def url():
    pytest.importorskip("psycopg")
    with postgres.server() as found:
        for _ in range(200):  # until it takes connections
            try:
                Registry(Place(found), 1.0).close()
                break
            except RegistryError:
                time.sleep(0.05)
        yield found


def test_several_machines_share_a_database(url, tmp_path):
    runs, registry = some_runs(tmp_path), Registry(Place(url))
    note_directories(registry, runs)
    lines = {line.name.removeprefix(f"{runs}/"): line for line in lines_of(registry, str(runs))}
    assert lines["here"].scores == {"loss": 0.4, "pearson": 0.7}
    assert (lines["there"].waiting, lines["study/fold0"].study) == (3, f"{runs}/study")
    first, second = Claims(registry, str(runs / "there")), Claims(registry, str(runs / "there"))
    claims = [first.take() for _ in range(3)]
    assert second.take() is None
    note_directories(registry, runs)
    assert all(first.beat(claim) for claim in claims), "a rescan leaves them theirs"
    with registry.writing() as db:
        silent = SNAPSHOT.update().where(SNAPSHOT.c.id == claims[0].snapshot)
        db.execute(silent.values(host="another", beat=SNAPSHOT.c.beat - STALE - 1))
    assert second.take().snapshot == claims[0].snapshot
    assert not first.beat(claims[0])
    second.release(claims[0])
    for claim in claims[1:]:
        first.release(claim)
    log = tmp_path / "log"
    with Process(watch, str(runs), str(log), 60.0, url) as slow:
        while Claims(registry, str(runs))._abandoned(()) or not _validating(registry):
            time.sleep(0.02)
        slow.kill()
        outcome = Watcher(registry, runs, FakeValidate(log), lambda line: None).run()
    assert (outcome.validated, outcome.left) == (5, 0)
    assert sorted(line.rsplit(" ", 1)[0] for line in log.read_text().splitlines()) == [
        "fold0 4", "here 10", "there 12", "there 4", "there 8",
    ]  # fmt: skip
    assert {line.name: line.best for line in lines_of(registry, str(runs))}[str(runs / "there")] == 8
    registry.close()


def _validating(registry) -> bool:
    with registry.reading() as db:
        return db.execute(SNAPSHOT.select().where(SNAPSHOT.c.status == "validating")).first() is not None

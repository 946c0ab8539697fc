"""Ridge regression of pooled subjects as a run: one at a time it is a ridge regression of that subject's own data."""

import shutil

import numpy as np
import pandas as pd
import pooled_folders
import pytest
from click.testing import CliRunner
from pooled_folders import TARGETS, TEST, TRAIN, images_of, targets_of

import jaxlab
import submit
from jaxlab.cli.main import main
from jaxlab.core.types import UserError
from jaxlab.runs.ridge import RidgeRun
from submit import Predictions

CONFIG = """
from jaxlab.data import Images, KaggleTable, Pooled
from jaxlab.data.split import KFold
from jaxlab.encode import ImageEncoder, Ridge
from jaxlab.models import LeNet5

experiment = Ridge(
    data=Pooled(root={root!r}),
    encoders=(ImageEncoder(model=LeNet5(grid=1), images=Images(size=(16, 16)), layers=("level1", "fc1")),),
    alphas=(0.1, 1.0),
    split=KFold(folds=2),
    {more}
)
"""


def command(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output + repr(result.exception)
    return result.output


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    path = tmp_path_factory.mktemp("ridge_subjects")
    root = str(pooled_folders.write(path / "data"))
    more = "shared=(0.0, 0.5), combine='banded'"
    (path / "ridge.py").write_text(CONFIG.format(root=root, more=more))
    said = command("train", path / "ridge.py", "--run", path / "run")
    assert all(word in said for word in (*TRAIN, "of others"))
    return path


@pytest.mark.slow
def test_a_run_of_each_subject_has_its_own_names_and_scores(place):
    run = jaxlab.load(place / "run")
    assert run.subjects == tuple(TRAIN)
    blocks = []
    for subject in TRAIN:
        own = run.subject(subject)
        kept = Predictions.load(place / "run" / "predictions" / subject / "out_of_fold.npz")
        assert kept.ids.tolist() == [f"{k:03d}" for k in range(TRAIN[subject])]
        assert kept.targets.tolist() == [f"n{k}" for k in range(TARGETS[subject])]
        truth = targets_of(subject)
        r = [np.corrcoef(x, y)[0, 1] for x, y in zip(kept.values.T, truth.T, strict=True)]
        assert own.evaluate()["validation"]["pearson"] == pytest.approx(np.mean(r), abs=1e-5)
        assert kept.provenance["scores"]["out_of_fold"]["pearson"] == pytest.approx(np.mean(r), abs=1e-5)
        blocks += r
        test = own.predict_split("test")
        assert test.ids.tolist() == [f"t{k}" for k in range(TEST)]
        columns = [target.startswith(f"{subject}/") for target in run.targets]
        whole = run.predict(images_of(subject)[TRAIN[subject] :])[:, columns]
        np.testing.assert_allclose(test.values, whole, rtol=1e-4, atol=1e-5)
    assert run.evaluate()["validation"]["pearson"] == pytest.approx(np.mean(blocks), abs=1e-5)


@pytest.mark.slow
def test_the_solution_is_read_once_for_all_subjects(place, monkeypatch):
    run, read = jaxlab.load(place / "run"), []
    solution = RidgeRun.solution
    monkeypatch.setattr(RidgeRun, "solution", lambda self, which: read.append(which) or solution(self, which))
    for subject in TRAIN:
        run.subject(subject).predict_split("test")
    assert read == [None]
    with pytest.raises(UserError, match="expected best, last or 0 of a ridge regression, found 5"):
        run.subject("s1").predict_split("test", 5)


@pytest.mark.slow
def test_files_for_each_and_the_same_command_finds_it_whole(place, tmp_path):
    run = shutil.copytree(place / "run", tmp_path / "run")
    command("predict", run, "--out", tmp_path / "out")
    for subject in TRAIN:
        table = pd.read_csv(tmp_path / f"out/{subject}.csv", index_col="id")
        kept = Predictions.load(run / "predictions" / subject / "test.npz")
        np.testing.assert_allclose(table.loc[kept.ids, kept.targets], kept.values, rtol=1e-6)
    sample = place / "data/s1/sample_submission.csv"
    assert submit.check(tmp_path / "out/s1.csv", sample) == []
    assert "is fitted already" in command("train", place / "ridge.py", "--run", run)
    (run / "predictions/s10/out_of_fold.npz").unlink()
    assert "is fitted already" not in command("train", place / "ridge.py", "--run", run)
    assert (run / "predictions/s10/out_of_fold.npz").is_file()
    said = command("predict", run, "--split", "validation", code=1)
    assert "learns from all labelled samples" in said


def test_what_is_missing_within_a_subject_is_refused(tmp_path):
    root = pooled_folders.write(tmp_path / "data")
    table = pd.read_csv(root / "s2/train.csv", dtype={"id": str})
    table.iloc[3, 1] = np.nan
    table.to_csv(root / "s2/train.csv", index=False)
    text = CONFIG.format(root=str(root), more="").replace(
        f"root={str(root)!r}", f"root={str(root)!r}, each=KaggleTable(missing_targets=True)"
    )
    (tmp_path / "ridge.py").write_text(text)
    said = command("train", tmp_path / "ridge.py", "--run", tmp_path / "run", code=1)
    assert "Ridge: expected targets without gaps, but data.missing_targets lets those of s2 have some" in said

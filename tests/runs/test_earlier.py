"""Networks of earlier versions keep the parameters that their checkpoints hold: they predict and go on as they were."""

import json
import shutil

import pytest
from tiny import tiny, train, trained_run

import jaxlab
from jaxlab.core.config import identity, to_json
from jaxlab.heads import Linear, Squashed
from jaxlab.runs.network.earlier import as_trained
from jaxlab.training import journal
from jaxlab.training.checkpoint import saved
from jaxlab.training.rundir import RunDirectory

NOW, THEN = (Squashed(head=Linear(layer="level2"), biased=biased) for biased in (False, True))


def test_no_config_says_so():
    assert to_json(THEN) == to_json(NOW)
    assert identity(THEN) == identity(NOW)
    assert "biased" not in to_json(THEN)


@pytest.mark.parametrize(
    ("paths", "biased"),
    [
        (["head.inner.bias"], True),
        (["head.inner.parts.V1.heads.0.bias", "head.norm.bias"], True),
        (["head.norm.bias", "backbone.inner.bias"], False),
        (
            ["head.inner.layers.level2.dense.bias", "head.inner.parts.V1.layers.level2.bias"],
            False,
        ),  # parts' own
        ([], False),
    ],
)
def test_it_is_told_by_the_parameters(arrays_npz, tmp_path, paths, biased):
    experiment = tiny(arrays_npz, head=NOW)
    folder = RunDirectory(tmp_path).checkpoints / "4"
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(
        json.dumps({"leaves": {"params": {path: [[1], "float32"] for path in paths}}})
    )
    assert as_trained(experiment, RunDirectory(tmp_path)).head.biased == biased
    assert as_trained(experiment, RunDirectory(tmp_path / "new")) is experiment


@pytest.mark.slow
def test_a_squashed_run_of_before_is_read_and_goes_on(arrays_npz, tmp_path):
    run = trained_run(arrays_npz, tmp_path / "run", head=THEN)
    assert "head.inner.bias" in saved(run / "checkpoints")[-1].meta()["leaves"]["params"]
    assert "biased" not in (run / "config.json").read_text()
    recorded = journal.validations(run / "metrics.jsonl")
    scores = jaxlab.load(run).evaluate("last")["validation"]
    assert scores == pytest.approx(recorded[12], rel=1e-4)
    before = jaxlab.load(run).predict_split("test", "last").values
    shutil.rmtree(saved(run / "checkpoints")[-1].path)
    train(tiny(arrays_npz, head=NOW), run)
    assert (jaxlab.load(run).predict_split("test", "last").values == before).all()

"""Runs go on, and predict, on another layout than they began with, and on other numbers of devices."""

import io
import json
import shutil

import jax
import numpy as np
import pytest
from rich.console import Console
from tiny import parts_of, tiny

import jaxlab
from jaxlab.core import tree
from jaxlab.core.files import read_json
from jaxlab.core.types import UserError
from jaxlab.nn import spread
from jaxlab.runs.network.begin import began_with
from jaxlab.training import journal
from jaxlab.training.checkpoint import saved
from jaxlab.training.rundir import RunDirectory
from jaxlab.training.sharding import Layout


@pytest.fixture(autouse=True)
def everything_in_parts(monkeypatch):
    """However little it is."""
    monkeypatch.setattr(spread, "SMALL", 2)
    monkeypatch.setattr(spread, "MANY", 2)


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["single", "data", "fsdp"])
@pytest.mark.parametrize("devices", [1, 2, 4])
def test_a_checkpoint_is_the_same_on_any_layout(trained, restored, parallel, devices, monkeypatch):
    """What pmap on four devices wrote; what another layout would write is equal to the last bit, and so its digest."""
    every = jax.local_devices()
    monkeypatch.setattr(jax, "local_devices", lambda: every[:devices])
    checkpoint, state = restored
    layout = Layout(parallel, 8)
    found, stored = layout.put(state).to_arrays(), checkpoint.arrays()
    assert layout.count == (1 if parallel == "single" else devices)
    for field, leaves in stored.items():
        assert found[field].keys() == leaves.keys()
        for path, leaf in leaves.items():
            np.testing.assert_array_equal(found[field][path], leaf, err_msg=path)
    assert tree.digest(found["params"]) == checkpoint.meta()["digest"]


@pytest.fixture(scope="module")
def restored(trained, arrays_npz):
    """The last checkpoint of the run, and the state that it gives."""
    checkpoint = saved(trained / "checkpoints")[-1]
    return checkpoint, parts_of(tiny(arrays_npz)).state.from_arrays(checkpoint.arrays())


@pytest.mark.slow
def test_a_run_goes_on_in_parts_and_predicts_in_parts(trained, arrays_npz, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    last = saved(run / "checkpoints")[-1]
    expected = last.arrays(("params", "ema", "opt_state"))
    shutil.rmtree(last.path)
    log = io.StringIO()
    settings = ("training.parallel=fsdp", "training.mesh=[2,2]")
    again = tiny(arrays_npz, *settings)
    jaxlab.train(again, run, console=Console(file=log, width=200))
    assert 'changed: training.parallel: "auto" -> "fsdp"' in log.getvalue()
    assert "going on from step 9" in log.getvalue()
    begun = saved(run / "checkpoints")[-2].arrays(("params", "ema", "opt_state"))
    found = saved(run / "checkpoints")[-1].arrays(("params", "ema", "opt_state"))
    for field in ("params", "ema"):
        for path, leaf in expected[field].items():
            change = np.abs(leaf - begun[field][path]).max()
            assert np.abs(found[field][path] - leaf).max() < 1e-3 * change, path
    mine, theirs = (journal.read(one / "metrics.jsonl", "validation")[-1] for one in (run, trained))
    assert mine["pearson"] == pytest.approx(theirs["pearson"], rel=1e-3)

    config = read_json(run / "config.json")
    config["experiment"]["training"]["parallel"] = "fsdp"
    (run / "config.json").write_text(json.dumps(config))
    spread_run = jaxlab.load(run)
    assert spread_run._layout.parallel == "fsdp"
    np.testing.assert_allclose(
        spread_run.predict_split("test").values, jaxlab.load(trained).predict_split("test").values, rtol=1e-3
    )


def test_auto_stays_what_it_was_when_a_run_began(trained, tmp_path, monkeypatch):
    """Whatever it is for new ones; runs of before that was written were all of pmap."""
    monkeypatch.setattr("jaxlab.runs.network.begin.AUTO", "data")
    run = RunDirectory(shutil.copytree(trained, tmp_path / "run"))
    info = run.info()
    assert info["layout"] == {"parallel": "pmap", "several": "pmap"}
    found = {"new": began_with(RunDirectory(tmp_path / "none"))}
    for name, layout in {"same": info["layout"], "data": {"several": "data"}, "before": None}.items():
        now = {key: value for key, value in info.items() if key != "layout"}
        (run.path / "run.json").write_text(json.dumps(now | ({"layout": layout} if layout else {})))
        found[name] = began_with(run)
    assert found == {"new": "data", "same": "pmap", "data": "data", "before": "pmap"}
    (run.path / "run.json").write_text(json.dumps(info | {"layout": {"several": "tmap"}}))
    with pytest.raises(UserError, match=r"run\.json: layout\.several: expected one of .*fsdp, found 'tmap'"):
        began_with(run)
    layouts = [Layout("auto", 8, several=several) for several in ("data", "fsdp", "pmap")]
    assert [(one.parallel, one.count) for one in layouts] == [("data", 4), ("fsdp", 4), ("pmap", 4)]

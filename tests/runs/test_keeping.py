"""Nothing that was predicted is overwritten: the kind of fault is a file whose name does not say what it is of.

What belongs to it: other data at `data.root`, another checkpoint, other inference settings, a file of an earlier
version; of a network, of folds (and of each fold), and of a ridge regression (tests/encode/test_ridge_run.py). Not the
same data at another place, whose predictions are the run's own.
"""

import shutil
from dataclasses import replace

import numpy as np
import pytest

import jaxlab
from jaxlab.training.checkpoint import saved
from submit import Predictions

pytestmark = pytest.mark.slow


@pytest.fixture
def elsewhere(arrays_npz, tmp_path):
    """The data with other test images under the same ids, and a copy of the data."""
    arrays = dict(np.load(arrays_npz))
    np.savez(tmp_path / "other.npz", **{**arrays, "test_images": 255 - arrays["test_images"]})
    return tmp_path / "other.npz", shutil.copy(arrays_npz, tmp_path / "copy.npz")


@pytest.mark.parametrize(("kind", "named"), [("trained", "NetworkRun"), ("folded", "FoldsRun")])
def test_a_run_says_what_it_is(request, kind, named):
    path = request.getfixturevalue(kind)
    shown = repr(jaxlab.load(path))
    assert shown.startswith(f"<{named} {path}: 5 targets from Arrays, ")
    assert shown.endswith(" checkpoints>")


def kept(run, *settings, which=None):
    file = jaxlab.load(run, settings).kept_as("test", which).file
    return file.relative_to(run / "predictions").name


def values(run, name="test.npz"):
    return Predictions.load(run / "predictions" / name).values


@pytest.mark.parametrize("kind", ["trained", "folded"])
def test_other_data_have_a_name_of_their_own_and_data_that_moved_have_not(request, tmp_path, elsewhere, kind):
    run = shutil.copytree(request.getfixturevalue(kind), tmp_path / "run")
    (other, copy), own = elsewhere, jaxlab.load(run)
    first = kept(run, f"data.root={other}")
    assert first.startswith("test-data"), "before the run's own were predicted"
    assert not (run / "predictions/test.npz").exists()
    assert kept(run) == "test.npz"
    before = values(run)
    np.testing.assert_allclose(before, own.predict(np.load(copy)["test_images"]), rtol=1e-5)
    assert kept(run, f"data.root={other}") == first
    np.testing.assert_array_equal(values(run), before)
    np.testing.assert_allclose(values(run, first), own.predict(np.load(other)["test_images"]), rtol=1e-5)
    assert kept(run, f"data.root={copy}") == "test.npz"
    for fold in run.glob("fold?"):
        assert {file.name.partition("-")[0] for file in (fold / "predictions").glob("*.npz")} >= {
            "test",
            "test.npz",
        }


def test_data_that_are_gone_are_taken_to_be_where_settings_say(trained, tmp_path, elsewhere):
    run, (other, copy) = shutil.copytree(trained, tmp_path / "run"), elsewhere
    config = (run / "config.json").read_text()
    root = jaxlab.load(run).source.root
    (run / "config.json").write_text(config.replace(root, str(tmp_path / "gone.npz")))
    assert kept(run, f"data.root={copy}") == "test.npz"
    assert kept(run, f"data.root={other}").startswith("test-data"), "unlike those kept"


def test_another_checkpoint_or_inference_leaves_what_was_there(trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    loaded = jaxlab.load(run)
    best = loaded.checkpoint("best")
    another = next(one for one in saved(run / "checkpoints") if one.step != best.step)
    name = f"test-step{another.step}-{another.meta()['digest'][:8]}.npz"
    assert kept(run, which=another.step) == name, "before the usual one's"
    assert kept(run) == kept(run, which=best.step) == "test.npz"
    plain = values(run)
    assert kept(run, "inference.tta.shift=1") == "test.npz", "as ensembles of views have it"
    assert not np.array_equal(values(run), plain)
    np.testing.assert_array_equal(values(run, f"test-step{best.step}-{best.meta()['digest'][:8]}.npz"), plain)
    assert kept(run) == "test.npz"
    assert len(list((run / "predictions").glob("test-*-inference*.npz"))) == 1
    assert kept(run, which=another.step) == name


def test_what_an_earlier_version_kept_stays(trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    made = jaxlab.load(run).predict_split("test")
    origin = {name: value for name, value in made.provenance.items() if name != "samples"}
    replace(made, values=made.values + 1, provenance=origin).save(run / "predictions/test.npz")
    replace(made, values=made.values + 2, provenance={}).save(run / "predictions/test.npz")
    assert kept(run) == "test.npz"
    (earlier,) = (run / "predictions").glob("test-*.npz")
    np.testing.assert_array_equal(values(run, earlier.name), made.values + 2)

"""No result depends on what targets are measured in, or from where: MEG in tesla, times since 1970, pascals."""

import json

import numpy as np
import pytest
from tiny import tiny, trained_run

import jaxlab
from jaxlab.experiment.recipe import resolve
from jaxlab.objectives import Objective, resolved
from jaxlab.runs import api
from jaxlab.training import journal
from submit import Predictions

UNIT, FROM = 1e-13, 1e-4  # a mean of some 1e9 standard deviations


@pytest.fixture(scope="module")
def in_tesla(arrays_npz, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tesla")
    arrays = dict(np.load(arrays_npz))
    arrays["targets"] = arrays["targets"].astype(np.float64) * UNIT + FROM
    np.savez(folder / "arrays.npz", **arrays)
    return trained_run(folder / "arrays.npz", folder / "run")


def back(values: np.ndarray) -> np.ndarray:
    return (values.astype(np.float64) - FROM) / UNIT


@pytest.mark.slow
def test_a_network_learns_and_predicts_the_same(trained, in_tesla):
    one, other = (journal.validations(run / "metrics.jsonl") for run in (trained, in_tesla))
    assert one.keys() == other.keys()
    for step, scores in one.items():
        for name in ("pearson", "pearson_median", "explained_variance", "loss"):
            assert other[step][name] == pytest.approx(scores[name], abs=2e-3), (step, name)
        assert other[step]["mse"] / UNIT**2 == pytest.approx(scores["mse"], rel=2e-3)
        assert other[step]["constant_targets"] == 0
    plain, tesla = (jaxlab.load(run) for run in (trained, in_tesla))
    assert plain.checkpoint("best").step == tesla.checkpoint("best").step
    assert "origins" not in json.loads((trained / "run.json").read_text())["task"]
    for split in ("test", "validation"):
        ours, theirs = tesla.predict_split(split).values, plain.predict_split(split).values
        assert (ours.dtype, theirs.dtype) == (np.float64, np.float32)
        np.testing.assert_allclose(back(ours), theirs, atol=0.02 * theirs.std())


@pytest.mark.slow
def test_a_run_goes_on_above_the_origin_that_it_began_with(in_tesla):
    """Not above that of the data now, which `--allow-config-change` lets be others."""
    recorded = json.loads((in_tesla / "run.json").read_text())["task"]["origins"]["activity"]
    data = np.load(in_tesla.parent / "arrays.npz")["targets"]
    np.testing.assert_allclose(recorded, data.astype(np.longdouble).mean(0).astype(float), rtol=1e-12)
    run = jaxlab.load(in_tesla)
    np.testing.assert_array_equal(run.primary.origin, recorded)
    before = run.predict_split("test").values
    (in_tesla / "run.json").write_text(
        (in_tesla / "run.json").read_text().replace(str(recorded[0]), str(recorded[0] + UNIT))
    )
    moved = jaxlab.load(in_tesla).predict_split("test").values - before
    np.testing.assert_allclose(moved / UNIT, np.tile([1, 0, 0, 0, 0], (7, 1)), atol=1e-3)
    again = tiny(in_tesla.parent / "arrays.npz")
    api.train(again, in_tesla)  # is done; nothing is refused
    kept = Predictions.load(run.kept_as("test").file)
    np.testing.assert_allclose(back(kept.values), back(before), atol=1e-3)


@pytest.mark.slow
def test_what_a_loss_compares_as_it_is_has_no_origin(in_tesla):
    root = in_tesla.parent / "arrays.npz"
    for settings, has in (((), True), (("training.standardize=false",), False)):
        experiment = tiny(root, *settings)
        assert bool(resolve(experiment, experiment.data.open()).task.origins) == has


def test_truth_is_sent_above_its_origin_and_predictions_come_back():
    truth = np.random.default_rng(0).normal(size=(20, 2)) * UNIT + FROM
    targets = {"activity": ("a", "b")}
    objective = resolved({"activity": Objective()}, targets, {"activity": truth.mean(0)})[0]
    sent = objective.sent(truth)
    assert sent.dtype == np.float32
    constants = objective.constants(sent, standardize=True)
    z = np.asarray(objective.compared(sent, constants))
    expected = (truth.astype(np.longdouble) - truth.mean(0)) / truth.std(0)
    np.testing.assert_allclose(z, expected.astype(float), atol=1e-4)
    received = objective.received(np.asarray(objective.in_units(z, constants)))
    np.testing.assert_allclose(back(received), back(truth), atol=1e-4)
    mean = objective.mean_of([received, received + UNIT])
    assert mean.dtype == np.float64
    np.testing.assert_allclose(back(mean), back(truth) + 0.5, atol=1e-4)

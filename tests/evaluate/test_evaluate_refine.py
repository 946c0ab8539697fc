"""Refinement lowers what it declares to, of the rows that count alone, in its time; and touches nothing else."""

import io
import shutil
from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from rich.console import Console
from scipy.optimize import minimize
from tiny import parts_of, stirred, tiny

import jaxlab
from jaxlab.core.types import UserError
from jaxlab.data import Images, Simulated
from jaxlab.encode import CachedFeatures, ImageEncoder
from jaxlab.evaluate import inference
from jaxlab.evaluate.inference import Inference, InferenceEvaluator
from jaxlab.evaluate.refine import Refine, norms_of, objective_of, refined_output, refined_statistics
from jaxlab.evaluate.tta import TTA
from jaxlab.experiment import Experiment
from jaxlab.heads import Linear, build_network
from jaxlab.losses import CrossEntropy, Mse
from jaxlab.models import Features, LeNet5, Model, ShallowCNN
from jaxlab.objectives import Classification, Regression
from jaxlab.runs.network.run import NetworkRun
from jaxlab.runs.predict import predict_runs
from jaxlab.training.rundir import RunDirectory
from jaxlab.training.sharding import Layout
from submit import Predictions

TWO = TTA(mirror=True)
NUMBERS = Regression("a", "activity", Linear(), Mse(), ("x", "y"))
CLASSES = Classification("a", "label", Linear(), CrossEntropy(), ("x", "y"))
NORMS = ("backbone.levels.0.norm", "backbone.levels.1.norm")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"steps": 0}, r"Refine\.steps: expected more than 0"),
        ({"stay": -0.1}, r"Refine\.stay: expected 0 or more"),
        ({"layers": "("}, r"Refine\.layers: '\(' is no regular expression"),
        ({"adapts": "output", "objective": "features"}, "an output has no features to compare"),
    ],
)
def test_what_cannot_be_refined_is_refused(fields, words):
    with pytest.raises(UserError, match=words):
        Refine(**fields)


def test_consistency_needs_views():
    with pytest.raises(UserError, match=r"tta has the image alone; set inference\.tta\.shift"):
        Inference(refine=Refine(adapts="output"))
    Inference(refine=Refine(adapts="statistics", objective="features"))


def test_two_numbers_agree_best_on_their_mean():
    """What refining them would do nothing to is refused, when the run is loaded; probabilities it moves."""
    asked = Inference(tta=TWO, refine=Refine(adapts="output"))
    with pytest.raises(UserError, match=r"expected three views or more of inference\.tta, found 2"):
        asked.check_objective(NUMBERS)
    asked.check_objective(CLASSES)
    replace(asked, tta=TTA(zoom=0.1)).check_objective(NUMBERS)


def test_batch_norms_are_needed_and_named():
    refine = Refine(adapts="statistics", layers="levels.7")
    with pytest.raises(UserError, match="this one has none that its readout depends on"):
        refine.check_norms(())
    with pytest.raises(
        UserError, match=r"'levels\.7' matches none of the batch norms backbone\.levels\.0\.norm, b"
    ):
        refine.check_norms(NORMS)
    for level, norms in ((1, NORMS[:1]), (2, NORMS)):  # of a layer that the head does not reach, none
        network = build_network(
            ShallowCNN(channels=(4, 6), kernel_sizes=(3, 3)),
            Linear(layer=f"level{level}"),
            (16, 16, 3),
            ("a",),
            nnx.Rngs(0),
        )
        assert norms_of(nnx.split(network, nnx.Param, nnx.BatchStat), (16, 16, 3)) == norms


class OwnNorm(nnx.Module):
    """Statistics by hand; `mean` alone is no batch norm's."""

    def __init__(self, names):
        for name in names:
            setattr(self, name, nnx.BatchStat(jnp.zeros(3)))

    def __call__(self, x):
        return {"pool": (x - self.mean[...][None, None, None]).mean((1, 2))}


@dataclass(frozen=True)
class OwnNormModel(Model):
    names: tuple[str, ...]

    def build(self, in_channels, rngs):
        return OwnNorm(self.names)


@pytest.mark.parametrize(("names", "norms"), [(("mean",), ()), (("mean", "var"), ("backbone",))])
def test_statistics_by_hand_are_a_batch_norms_where_they_are_mean_and_variance(names, norms):
    network = build_network(OwnNormModel(names), Linear(), (4, 4, 3), ("a",), nnx.Rngs(0))
    assert norms_of(nnx.split(network, nnx.Param, nnx.BatchStat), (4, 4, 3)) == norms


def test_features_of_statistics_by_hand_cannot_be_compared(arrays_npz):
    program, _, batches, state = parts_of(
        tiny(arrays_npz, model=OwnNormModel(("mean", "var")), head=Linear())
    )
    refine = Refine(adapts="statistics", objective="features")
    batch = batch_of(batches[0]["image"], batches[0]["image"][:3])
    measure = objective_of(program, refine, ("backbone",), TWO.views(), state.variables, batch)
    with pytest.raises(
        UserError, match=r"refine\.layers: backbone: expected batch norms of jaxlab or of Flax"
    ):
        measure.sums(state.variables)


def test_features_computed_once_are_refused():
    encoder = ImageEncoder(model=LeNet5(), images=Images(size=(32, 32)), layers=("level1",))
    with pytest.raises(
        UserError, match=r"inference cannot go with data=CachedFeatures.*features are computed once"
    ):
        Experiment(
            data=CachedFeatures(data=Simulated(), encoders=(encoder,)),
            model=Features(), head=Linear(layer="level1"), inference=Inference(tta=TTA(shift=1)),
        )  # fmt: skip


def test_outputs_minimise_hubers_objective(monkeypatch):
    """scipy minimises the objective as the docstring has it; one view of five lies far off."""
    values = np.random.default_rng(0).normal(size=(5, 3, 2)).astype(np.float32)
    values[4] += 20
    monkeypatch.setattr("jaxlab.evaluate.refine.predicted", lambda *parts: parts[3])
    program = type("Program", (), {"objective": NUMBERS})()
    batch = {"image": np.zeros((3, 4, 4, 1), np.uint8)}
    for stay in (0.0, 0.5):
        refine = Refine(adapts="output", stay=stay)
        found = refined_output(program, refine, values, None, batch, np.int32(200))
        mean = values.mean(0)
        np.testing.assert_allclose(
            refined_output(program, refine, values, None, batch, np.int32(0)), mean, rtol=1e-6
        )
        for row, column in np.ndindex(3, 2):
            f, m = values[:, row, column].astype(float), float(mean[row, column])
            d = 1.345 * 1.4826 * np.median(np.abs(f - np.median(f)))

            def objective(o, f=f, m=m, d=d, stay=stay):
                r = np.abs(o - f)
                return np.where(r <= d, r**2 / 2, d * (r - d / 2)).mean() + stay / 2 * (o[0] - m) ** 2

            best = minimize(
                objective, [np.median(f)], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-12}
            )
            assert float(found[row, column]) == pytest.approx(best.x[0], abs=1e-3)
            assert stay or abs(best.x[0]) < abs(m), "the view far off counts less than in the mean"


@pytest.fixture(scope="module")
def tiny_parts(arrays_npz):
    """The program, variables of which none is zero, and images."""
    program, _, _, state = parts_of(tiny(arrays_npz, "training.parallel=single"))
    return program, stirred(state.variables), np.load(arrays_npz)["images"]


def batch_of(images, padded):
    """Five images and three rows of padding."""
    return {"image": np.concatenate([images[:5], padded]), "mask": np.arange(8) < 5}


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["consistency", "features"])
def test_steps_lower_the_objective_whatever_fills_the_batch(tiny_parts, objective):
    program, variables, images = tiny_parts
    refine = Refine(adapts="statistics", objective=objective, steps=5, lr=0.01)
    views = TWO.views()
    refined = jax.jit(partial(refined_statistics, program, refine, NORMS, views))
    paddings = (np.repeat(images[4:5], 3, 0), 255 - images[8:11])
    batch, other = (batch_of(images, padded) for padded in paddings)
    found = refined(variables, batch, np.int32(5))
    assert found.stats.keys() == variables.stats.keys()
    assert all(not np.array_equal(found.stats[path], leaf) for path, leaf in variables.stats.items())
    for path, leaf in refined(variables, other, np.int32(5)).stats.items():
        np.testing.assert_allclose(leaf, found.stats[path], rtol=1e-5, atol=1e-6)
    for path, leaf in refined(variables, batch, np.int32(0)).stats.items():
        np.testing.assert_array_equal(leaf, variables.stats[path])
    assert all(
        found.params[path] is leaf or np.array_equal(found.params[path], leaf)
        for path, leaf in variables.params.items()
    )

    @jax.jit
    def value(now):
        measure = objective_of(program, refine, NORMS, views, variables, batch)
        return measure.value(measure.sums(now))

    assert value(found) < 0.95 * value(variables)


@pytest.mark.slow
def test_features_are_compared_with_normalised_ones(tiny_parts):
    """The first batch norm's input is a convolution's output, here computed by numpy from its kernel."""
    program, variables, images = tiny_parts
    refine = Refine(adapts="statistics", objective="features", layers=r"levels\.0")
    measure = objective_of(program, refine, NORMS, TWO.views(), variables, batch_of(images, images[:3]))
    found = measure.value(jax.jit(measure.sums)(variables))
    mean, std = (np.array(x) for x in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    x = np.pad((images[:5] / 255 - mean) / std, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    kernel = np.asarray(variables.params["backbone.levels.0.conv.kernel"])
    inputs = np.einsum("bhwcij,ijco->bhwo", windows, kernel).reshape(-1, kernel.shape[-1])
    expected = (
        np.abs(inputs.mean(0)) + np.abs(inputs.var(0) - 1)
    ).mean()  # running statistics are still 0 and 1
    assert float(found) == pytest.approx(expected, rel=1e-3)


@pytest.mark.slow
def test_four_devices_refine_as_one(tiny_parts):
    program, variables, images = tiny_parts
    asked = Inference(tta=TWO, refine=Refine(adapts="statistics", objective="features", steps=3))
    found = []
    for kind in ("pmap", "data", "single"):
        layout = Layout(kind, 8)
        evaluator = InferenceEvaluator(program, layout, 8, asked, NORMS)
        found.append(evaluator.predict(layout.put(variables), images[:11]))
    np.testing.assert_allclose(found[0], found[2], rtol=1e-4)
    np.testing.assert_allclose(found[1], found[2], rtol=1e-4)


@pytest.mark.slow
def test_what_comes_after_its_time_is_not_refined(tiny_parts, capsys):
    """A clock that the second of three batches finds past its time."""
    program, variables, images = tiny_parts
    layout, refine = Layout("single", 8), Refine(adapts="output", seconds=10, stay=0.0)
    now = iter([0.0, 9.0, 10.0, 11.0])
    timed = InferenceEvaluator(
        program, layout, 8, Inference(tta=TTA(shift=2), refine=refine), clock=now.__next__
    )
    mean = InferenceEvaluator(program, layout, 8, Inference(tta=TTA(shift=2)))
    placed = layout.put(variables)
    found, without = timed.predict(placed, images[:20]), mean.predict(placed, images[:20])
    assert not np.allclose(found[:8], without[:8], rtol=1e-4)
    np.testing.assert_allclose(found[8:], without[8:], rtol=1e-5)
    assert (timed.batches, timed.unrefined) == (3, 2)
    assert "seconds=10 have passed: the last 2 of 3 batches are not refined" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_reports_with_and_without_and_stays_as_it_was(trained, tmp_path):
    digest = jaxlab.load(trained).checkpoint().meta()["digest"]
    settings = ["inference.tta.mirror=true", "inference.refine.adapts=statistics", "inference.refine.steps=2"]
    run = jaxlab.load(trained, settings)
    assert list(run.evaluate()) == ["train", "validation", "validation_tta", "validation_refined"]
    found = run.predict_split("test")
    np.testing.assert_array_equal(run.predict_split("test").values, found.values)
    record = found.provenance["inference"]
    assert (record["views"], record["adapts"], record["batches"], record["unrefined"]) == (
        2,
        "statistics",
        1,
        0,
    )
    assert record["moved"] > 0
    line = inference.summary(record, NUMBERS)
    assert line.startswith(
        "2 views of each image, statistics refined for 1 of 1 batches: predictions moved by 0."
    )
    copy = shutil.copytree(trained, tmp_path / "copy")
    told: list[str] = []
    predict_runs([copy], tmp_path / "out.npz", settings, log=told.append)
    assert told[1] == f"{copy}: {line}"
    np.testing.assert_array_equal(Predictions.load(tmp_path / "out.npz").values, found.values)
    assert jaxlab.load(trained).checkpoint().meta()["digest"] == digest
    assert "inference" not in jaxlab.load(trained).predict_split("test").provenance


def test_moves_are_told_in_deviations_and_in_classes():
    before = np.array([[1.0, 5.0], [3.0, 5.0]])
    assert NUMBERS.moved(before, before + np.array([[0.5, 9.0]])) == pytest.approx(0.5)
    logits = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert CLASSES.moved(logits, np.array([[2.0, 0.0], [2.0, 1.0]])) == 0.5
    record = {"views": 1, "adapts": None, "batches": 0, "unrefined": 0, "moved": 0.5}
    assert inference.summary(record, CLASSES) == (
        "1 view of each image: 50.0% of images have another first choice than without"
    )


@pytest.mark.slow
def test_a_network_without_batch_norms_is_refused_when_its_run_is_loaded(trained):
    experiment = tiny(trained, "inference.refine.adapts=statistics", "inference.refine.objective=features")
    bare = replace(experiment, model=ShallowCNN(channels=(4, 6), kernel_sizes=(3, 3), norm="layer"))
    with pytest.raises(UserError, match="expected a network with batch norms, but this one has none"):
        NetworkRun(RunDirectory(trained), bare)


@pytest.mark.slow
def test_a_run_says_that_it_keeps_its_inference(trained, arrays_npz, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    for settings, words in (([], False), (["inference.tta.shift=1"], True)):
        out = io.StringIO()
        jaxlab.train(tiny(arrays_npz, *settings), run, console=Console(file=out, width=300))
        assert ("keeps the inference of its own config" in out.getvalue()) == words

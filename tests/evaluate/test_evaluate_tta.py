"""Views against numpy; averages against separately predicted views; the same on one device and on four."""

import shutil
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from tiny import parts_of, stirred, tiny

import jaxlab
from jaxlab.core.config import short_hash
from jaxlab.core.types import UserError
from jaxlab.data import Arrays, Mnist
from jaxlab.evaluate.evaluator import Evaluator
from jaxlab.evaluate.inference import Inference, InferenceEvaluator, together
from jaxlab.evaluate.tta import TTA, View, seen
from jaxlab.experiment import Experiment
from jaxlab.heads import Linear
from jaxlab.losses import CrossEntropy
from jaxlab.runs.predict import predict_runs
from jaxlab.training.sharding import Layout
from submit import Predictions, metrics

IMAGES = np.random.default_rng(3).random((2, 7, 9, 3)).astype(np.float32)


def shown(tta: TTA, images: np.ndarray = IMAGES) -> list[np.ndarray]:
    """The images as each view shows them."""
    views = tta.views()
    look = jax.jit(seen)
    return [np.asarray(look(images, View(*(x[k] for x in views)))) for k in range(len(views.scale))]


def shifted(images: np.ndarray, down: int, across: int, margin: int) -> np.ndarray:
    """Whole pixels, from numpy's own padding."""
    padded = np.pad(images, ((0, 0), (margin, margin), (margin, margin), (0, 0)), mode="edge")
    height, width = images.shape[1:3]
    return padded[:, margin + down :, margin + across :][:, :height, :width]


def test_whole_pixels_and_mirrors_are_exact():
    views = shown(TTA(shift=2, mirror=True))
    moves = [(down, across) for down in (0, -2, 2) for across in (0, -2, 2)]
    assert len(views) == 18
    np.testing.assert_array_equal(views[0], IMAGES)
    for view, mirrored, (down, across) in zip(views[:9], views[9:], moves, strict=True):
        np.testing.assert_array_equal(view, shifted(IMAGES, down, across, 2))
        np.testing.assert_array_equal(mirrored, np.flip(view, 2))
    upright, upturned = shown(TTA(mirror_vertical=True))
    np.testing.assert_array_equal(upturned, np.flip(upright, 1))


def test_zooms_and_crops_are_linear_interpolation():
    """Of a plane, which linear interpolation leaves a plane: pixel centres are where the window says."""
    rows, columns = np.meshgrid(np.arange(8.0), np.arange(8.0), indexing="ij")
    plane = np.stack([rows, columns], -1)[None].astype(np.float32)
    _, nearer, further = shown(TTA(zoom=0.5), plane)
    at = np.arange(8)
    np.testing.assert_allclose(nearer[0, :, 0, 0], 1.75 + 0.5 * at, rtol=1e-6)
    np.testing.assert_allclose(further[0, 0, :, 1], np.clip(-2 + 1.5 * at + 0.25, 0, 7), rtol=1e-6)
    _, first, right, low, last, centre = shown(TTA(crops=0.5), plane)
    np.testing.assert_allclose(first[0, :, 0, 0], np.clip(-0.25 + 0.5 * at, 0, 7), rtol=1e-6)
    np.testing.assert_array_equal(right[0, 0, :, 1], last[0, 0, :, 1])
    np.testing.assert_array_equal(low[0, :, 0, 0], last[0, :, 0, 0])
    np.testing.assert_allclose(last[0, :, 0, 0], np.clip(3.75 + 0.5 * at, 0, 7), rtol=1e-6)
    np.testing.assert_array_equal(centre, nearer)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"shift": -1}, r"TTA\.shift: expected 0 or more pixels, found -1"),
        ({"zoom": 1.0}, r"TTA\.zoom: expected at least 0 and less than 1"),
        ({"crops": 1.0}, r"TTA\.crops: expected a share between 0 and 1"),
    ],
)
def test_views_that_cannot_be_are_refused(fields, words):
    with pytest.raises(UserError, match=words):
        TTA(**fields)


def test_mirrors_that_show_something_else_are_refused():
    with pytest.raises(UserError, match=r"inference\.tta: a horizontal mirror image of Mnist"):
        Experiment(data=Mnist(), loss=CrossEntropy(), inference=Inference(tta=TTA(mirror=True)))
    Experiment(data=Mnist(), loss=CrossEntropy(), inference=Inference(tta=TTA(shift=2)))


def test_inference_is_no_part_of_what_an_experiment_is(arrays_npz):
    """So that runs keep their names, and go on whatever they are used for."""
    assert short_hash(tiny(arrays_npz)) == short_hash(tiny(arrays_npz, "inference.tta.shift=2"))
    assert short_hash(tiny(arrays_npz)) != short_hash(tiny(arrays_npz, "seed=1"))


def placed(state, layout):
    return layout.put(stirred(state.variables))


@pytest.mark.slow
def test_views_of_the_image_alone_are_plain_predictions_bit_for_bit(arrays_npz):
    program, _, _, state = parts_of(tiny(arrays_npz, "training.parallel=single"))
    layout = Layout("single", 8)
    images = np.load(arrays_npz)["images"][:11]
    plain = Evaluator(program, layout, 8).predict(placed(state, layout), images)
    same = InferenceEvaluator(program, layout, 8, Inference()).predict(placed(state, layout), images)
    np.testing.assert_array_equal(same, plain)


@pytest.fixture(scope="module")
def views_of(arrays_npz):
    """Test images as TTA(shift=1, mirror=True) shows them, by numpy."""
    images = np.load(arrays_npz)["test_images"]
    moved = [shifted(images, down, across, 1) for down in (0, -1, 1) for across in (0, -1, 1)]
    return [*moved, *(np.flip(view, 2) for view in moved)]


ASKED = ("inference.tta.shift=1", "inference.tta.mirror=true")


@pytest.mark.slow
def test_predictions_are_the_mean_over_separately_predicted_views(trained, views_of):
    plain, run = jaxlab.load(trained), jaxlab.load(trained, ASKED)
    expected = np.mean([plain.predict(view) for view in views_of], axis=0, dtype=np.float64)
    found = run.predict_split("test")
    np.testing.assert_allclose(found.values, expected, rtol=1e-5)
    np.testing.assert_array_equal(run.predict(views_of[0]), found.values)
    before = plain.predict(views_of[0]).astype(np.float64)
    moved = np.sqrt((((expected - before) / before.std(0)) ** 2).mean())
    assert found.provenance["inference"] == {
        "views": 18, "adapts": None, "batches": 0, "unrefined": 0, "moved": pytest.approx(moved, rel=1e-3),
    }  # fmt: skip
    assert found.provenance["config"]["inference"]["tta"]["shift"] == 1
    assert "inference" not in plain.predict_split("test").provenance


@pytest.mark.slow
def test_evaluation_shows_scores_with_and_without(trained):
    """Beside the plain ones, which metrics.jsonl records; those of TTA are those of its predictions."""
    run = jaxlab.load(trained, ASKED)
    scores = run.evaluate()
    assert list(scores) == ["train", "validation", "validation_tta"]
    assert scores["validation"] == jaxlab.load(trained).evaluate()["validation"]
    predicted = run.predict_split("validation")
    rows = {name: k for k, name in enumerate(run.opened.train.ids)}
    truth = run.opened.train.target[[rows[name] for name in predicted.ids]]
    found = scores["validation_tta"]
    pearson = [np.corrcoef(x, y)[0, 1] for x, y in zip(predicted.values.T, truth.T, strict=True)]
    assert found["pearson"] == pytest.approx(np.mean(pearson), rel=1e-4)
    assert found["mse"] == pytest.approx(np.square(predicted.values - truth).mean(), rel=1e-4)
    scale = run.checkpoint().arrays(("constants",))["constants"]["target_scale"]
    loss = np.square((predicted.values - truth) / scale).mean()
    assert found["loss"] == pytest.approx(loss, rel=1e-4)


@pytest.mark.slow
def test_a_shift_beyond_the_image_is_refused(trained):
    with pytest.raises(
        UserError, match=r"inference\.tta\.shift: expected less than the image's 16 x 16, found 16"
    ):
        jaxlab.load(trained, ["inference.tta.shift=16"])


@pytest.mark.slow
def test_classes_take_the_logarithm_of_their_mean_probability(arrays_npz, tmp_path):
    arrays = dict(np.load(arrays_npz))
    labels = (arrays.pop("targets")[:, 0] > 10).astype(int)
    np.savez(tmp_path / "labels.npz", labels=labels, target_names=np.array(["a", "b"]), **arrays)
    parts = {"data": Arrays(), "head": Linear(), "loss": CrossEntropy()}
    program, _, _, state = parts_of(tiny(tmp_path / "labels.npz", "training.parallel=single", **parts))
    layout, images = Layout("single", 8), arrays["images"][:8]
    plain = Evaluator(program, layout, 8)
    variables = placed(state, layout)
    logits = np.stack(
        [plain.predict(variables, view).astype(np.float64) for view in (images, images[:, :, ::-1])]
    )
    expected = logsumexp(logits - logsumexp(logits, axis=2, keepdims=True), axis=0) - np.log(2)
    averaged = InferenceEvaluator(program, layout, 8, Inference(tta=TTA(mirror=True)))
    np.testing.assert_allclose(averaged.predict(variables, images), expected, rtol=1e-5, atol=1e-6)
    sums = averaged.evaluate(variables, images, {"label": labels[:8].astype(np.int32)})
    scores = averaged.program.scores(sums)
    assert scores["accuracy"] == pytest.approx(np.mean(expected.argmax(1) == labels[:8]))


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["pmap", "data"])
def test_four_devices_predict_as_one(arrays_npz, parallel):
    assert jax.device_count() == 4
    program, _, _, state = parts_of(tiny(arrays_npz))
    images, target = (np.load(arrays_npz)[name][:11] for name in ("images", "targets"))
    found = []
    for kind in (parallel, "single"):
        layout = Layout(kind, 8)
        evaluator = InferenceEvaluator(program, layout, 8, Inference(tta=TTA(zoom=0.1)))
        variables = placed(state, layout)
        sums = evaluator.evaluate(variables, images, {"activity": target})
        scores = evaluator.program.scores(sums)
        found.append((evaluator.predict(variables, images), scores))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5)
    assert found[0][1] == pytest.approx(found[1][1], rel=1e-4)


def test_masks_move_with_the_image():
    look = partial(seen, view=View(*(jnp.float32(x) for x in (1.0, 0.5, 0.5, 1, 0, 0, 0))))
    moved = np.asarray(look(jnp.asarray(IMAGES)))
    np.testing.assert_array_equal(moved[..., 2], shifted(IMAGES, 1, 0, 1)[..., 2])


@pytest.mark.slow
def test_folds_tell_of_views_and_show_scores_with_and_without(folded, tmp_path):
    run = shutil.copytree(folded, tmp_path / "run")
    plain, shown = jaxlab.load(run).evaluate_checkpoints(), jaxlab.load(run, ASKED).evaluate_checkpoints()
    assert [list(by_split) for by_split in shown.values()] == [
        *[["validation", "validation_tta"]] * 2, ["out_of_fold", "out_of_fold_tta"]
    ]  # fmt: skip
    for name, by_split in plain.items():
        assert {split: shown[name][split] for split in by_split} == by_split
    averaged, opened = jaxlab.load(run, ASKED).predict_split("out_of_fold"), jaxlab.load(run).opened
    pearson = metrics.pearson(averaged.values, opened.train.target).mean()
    assert shown["all"]["out_of_fold_tta"]["pearson"] == pytest.approx(pearson)
    assert shown["all"]["out_of_fold"]["pearson"] != shown["all"]["out_of_fold_tta"]["pearson"]

    told: list[str] = []
    predict_runs([run], tmp_path / "out.npz", ASKED, log=told.append)
    assert told[1].startswith(f"{run}: 18 views of each image: predictions moved by 0.")
    made = Predictions.load(tmp_path / "out.npz").provenance
    moves = [fold["provenance"]["inference"]["moved"] for fold in made["ensemble"]]
    assert made["inference"]["moved"] == pytest.approx(np.mean(moves))
    assert made["config"]["experiment"]["inference"]["tta"]["shift"] == 1
    assert averaged.provenance["inference"]["views"] == 18
    assert "inference" not in jaxlab.load(run).predict_split("test").provenance


def test_records_of_several_networks_are_told_as_one():
    one = {"views": 2, "adapts": "output", "batches": 3, "unrefined": 0, "moved": 0.2}
    both = together([one, {**one, "batches": 4, "unrefined": 1, "moved": 0.4}])
    assert both == {**one, "batches": 7, "unrefined": 1, "moved": pytest.approx(0.3)}

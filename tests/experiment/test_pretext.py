"""A pretext task in an experiment: what goes with it, and the same update on any number of devices."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from tiny import parts_of, steps, stirred, tiny

from jaxlab.core.types import EVALUATION, UserError
from jaxlab.data import Arrays, Flip, Mixup, Sobel, Unlabelled
from jaxlab.experiment import Experiment, Folds, Objective, Training
from jaxlab.experiment.overfit import overfitting
from jaxlab.experiment.recipe import resolve
from jaxlab.heads import Decoder, Linear, Projection, Rates
from jaxlab.heads.decoder import image_shape, sizes
from jaxlab.losses import CrossEntropy, Mse, NTXent
from jaxlab.models import ImageAndText, ShallowCNN
from jaxlab.pretext import Contrast, Masked, Rotation, evaluation_keys
from jaxlab.runs.checks import log_data
from jaxlab.training.step import evaluation_step

TURNS = {"pretext": Rotation(), "loss": CrossEntropy()}
PAIRS = {"pretext": Contrast(dimensions=6), "loss": NTXent(), "head": Projection(layer="pool", hidden=5)}
BLANKS = {"pretext": Masked(patch=4), "head": Decoder(channels=(4,)), "loss": Mse()}
GOALS = {
    "activity": Objective(head=Linear()),
    "turn": Objective(of="pretext", head=Linear(), loss=CrossEntropy()),
}
BESIDE = {"pretext": Rotation(), "objectives": GOALS, "head": Linear(), "loss": Mse()}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"pretext": Rotation()},
            r"pretext=Rotation\(\) is for classification: expected head=Linear\(\), loss=CrossEnt",
        ),
        (
            {**BLANKS, "loss": CrossEntropy(), "head": Linear()},
            r"pretext=Masked\(\) is for regression: expected loss=Mse",
        ),
        ({**BLANKS, "head": Rates(head=Linear())}, r"is for regression: expected .*, found head=Rates\(\)"),
        ({**TURNS, "mix": Mixup()}, r"mix cannot go with pretext=Rotation\(\)"),
        ({**TURNS, "channels": (Sobel(),)}, r"channels cannot go with pretext=Rotation\(\)"),
        (
            {**PAIRS, "loss": Mse()},
            r"and it NTXent\(\); found pretext=Contrast\(\) with loss=Mse\(\)",
        ),
        (
            {**TURNS, "model": ImageAndText(image=ShallowCNN())},
            r"model=ImageAndText\(...\) reads texts, .*model.image.pretrained=RUN",
        ),
        (PAIRS, r"augment: pretext=Contrast\(\) compares views .* by augmentation alone; .* found none"),
        (
            {**PAIRS, "augment": (Flip(),), "training": Training(steps=1, batch_size=4, accumulate=4)},
            r"expected a batch_size of 2 or more for each of accumulate=4, found 4",
        ),
        ({**TURNS, "augment": (Flip(vertical=True),)}, r"Flip\(vertical=True\): turns images upside down"),
        ({"loss": NTXent()}, r"NTXent\(\) needs pretext=Contrast\(\)"),
        (
            {"objectives": {"turn": Objective(of="pretext", loss=CrossEntropy())}},
            r"objective 'turn': of='pretext' is what a pretext task makes .* found None",
        ),
        (
            {"objectives": {"a": Objective(), "b": Objective()}, "pretext": Rotation()},
            r"expected one of='pretext' for pretext=Rotation\(\), found a, b",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(parts, message):
    with pytest.raises(UserError, match=message):
        Experiment(**parts)


def test_what_needs_a_truth_of_the_data_is_refused():
    """Before anything is trained."""
    experiment = Experiment(**TURNS)
    with pytest.raises(UserError, match=r"Folds: .* pretext=Rotation\(\) makes its own; train it once"):
        Folds(experiment=experiment)
    with pytest.raises(UserError, match=r"overfit: .* pretext=Rotation\(\) makes its own .*--set limit=64"):
        overfitting(experiment, 1, 1)
    auxiliary = {"activity": Objective(), "turn": Objective(of="pretext", loss=CrossEntropy())}
    assert Folds(experiment=Experiment(objectives=auxiliary, pretext=Rotation())).folds == 5


def test_images_alone_need_a_task(arrays_npz):
    data = Unlabelled(data=Arrays(root=str(arrays_npz)))
    experiment = replace(tiny(arrays_npz), data=data)
    with pytest.raises(
        UserError, match=r"\(Unlabelled\) have images alone, and no truth for loss=Mse\(\): expected a"
    ):
        resolve(experiment, data.open())


@pytest.mark.parametrize(("of", "warned"), [("pretext", 0), ("activity", 1)])
def test_a_submissions_sample_asks_nothing_of_a_task(arrays_npz, tmp_path, of, warned):
    said, opened = [], tiny(arrays_npz).data.open()
    with_sample = replace(opened, sample_submission=tmp_path / "gone.csv", test=opened.train)
    (objective,) = resolve(tiny(arrays_npz), opened).task.objectives
    log_data(with_sample, replace(objective, of=of), SimpleNamespace(once=said.append))
    assert len([line for line in said if "asks for other predictions" in line]) == warned


def test_a_task_beside_the_truth_of_the_data(arrays_npz):
    """Both on one backbone, of the images that the task shows."""
    experiment = tiny(arrays_npz, **BESIDE)
    recipe = resolve(experiment, experiment.data.open())
    assert recipe.task.targets["turn"] == ("0", "90", "180", "270")
    assert len(recipe.task.targets["activity"]) == 5
    assert set(parts_of(experiment).batches[0]["truth"]) == {"activity"}


def test_validation_scores_labels_on_images_as_they_are_and_the_task_on_what_it_shows(arrays_npz):
    """By numpy's turned images, and means of what the network says of either."""
    experiment = tiny(arrays_npz, **BESIDE, augment=())
    program, _, batches, state = parts_of(experiment)
    variables, batch = stirred(state.variables), {**batches[0], "index": np.arange(8, dtype=np.int32)}
    sums, _ = jax.jit(partial(evaluation_step, program))(variables, program.start(), batch)
    scores = program.scores(jax.device_get(sums))

    def said(images):
        return program.apply(variables, program.prepare(images, None), EVALUATION).outputs

    turns = np.asarray(jax.vmap(lambda key: jax.random.randint(key, (), 0, 4))(evaluation_keys(np.arange(8))))
    turned = np.stack([np.rot90(image, turn) for image, turn in zip(batch["image"], turns, strict=True)])
    outputs, of_turned = (np.asarray(jax.jit(said)(images)) for images in (batch["image"], turned))
    activity = program.objective.in_units(outputs[:, :5], variables.constants)
    assert scores["mse"] == pytest.approx(np.square(activity - batch["truth"]["activity"]).mean(), rel=1e-4)
    assert scores["turn/accuracy"] == (of_turned[:, 5:].argmax(1) == turns).mean()


def test_an_image_that_is_compared_with_no_other_has_no_score(arrays_npz):
    """The last of 9 for validation, in batches of 8: it would be told from none."""
    experiment = tiny(arrays_npz, **PAIRS)
    program, _, batches, state = parts_of(experiment)
    step = jax.jit(partial(evaluation_step, program, state.variables))
    batch = {**batches[0], "index": np.arange(8, dtype=np.int32)}
    whole, _ = step(program.start(), {**batch, "mask": np.ones(8, bool)})
    both, _ = step(whole, {**batch, "mask": np.arange(8) < 1})
    assert program.scores(jax.device_get(both)) == program.scores(jax.device_get(whole))
    few = tiny(arrays_npz, "split.validation=0.02", **PAIRS)
    with pytest.raises(UserError, match=r"Contrast\(\) tells .* 2 images or more for validation, found 1"):
        resolve(few, few.data.open())


def test_the_update_is_the_same_on_any_number_of_devices(arrays_npz):
    """Of the loss that compares every row with every other, its images augmented and shown twice."""
    found = []
    for parallel in ("pmap", "single"):
        experiment = tiny(arrays_npz, f"training.parallel={parallel}", "training.ema=none", **PAIRS)
        state, reports = steps(experiment, 2)
        found.append((state.params, reports[-1]["loss"]))
    assert np.isclose(found[0][1], found[1][1], rtol=1e-4)
    for path, leaf in found[0][0].items():
        np.testing.assert_allclose(leaf, found[1][0][path], rtol=2e-3, atol=2e-4, err_msg=path)


def test_a_decoder_grows_by_equal_factors_to_the_image():
    assert sizes((7, 6), (56, 48), 3) == ((14, 12), (28, 24), (56, 48))
    assert sizes((5, 5), (48, 48), 2)[-1] == (48, 48)
    assert image_shape(Masked(patch=2).targets((4, 6, 3))) == (4, 6, 3)
    with pytest.raises(UserError, match=r"Decoder: makes images, .* found 2 \(b\)"):
        image_shape(("a", "b"))

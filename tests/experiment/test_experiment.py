"""What an experiment leaves open and weights decide."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from tiny import task_of

from jaxlab.core.config import to_json
from jaxlab.core.types import UserError
from jaxlab.data import (
    Arrays,
    Crop,
    Flip,
    GaborBank,
    Images,
    MirrorCopies,
    Mixup,
    Normalize,
    Oversample,
    RandomSplit,
    Simulated,
    Sobel,
    Wavelet,
)
from jaxlab.experiment import Experiment, Training
from jaxlab.experiment.recipe import resolve
from jaxlab.experiment.task import Task
from jaxlab.optim import AdamW, Plateau

ONE, HALF = Training(epochs=1, batch_size=1), RandomSplit(validation=0.5)
WEIGHTS = {
    "preprocessing": {
        "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "interpolation": "bicubic", "crop_fraction": 0.875
    }
}  # fmt: skip


def prepared(images: Images, weights=WEIGHTS, **parts) -> Task:
    sized = Images(
        size=(32, 32), policy=images.policy, filter=images.filter, crop_fraction=images.crop_fraction
    )
    experiment = Experiment(images=sized, **parts)
    task = task_of(experiment, ("a",), sized, experiment.normalize or Normalize())
    return task.prepared_as(experiment.normalize, weights)


def test_images_are_prepared_as_for_the_weights():
    task = prepared(Images())
    assert (task.normalize.mean, task.normalize.std) == ((0.5,) * 3, (0.25,) * 3)
    assert (task.images.filter, task.images.crop_fraction) == ("bicubic", None), "all of the image by default"
    assert prepared(Images(policy="crop")).images.crop_fraction == 0.875
    assert Task.from_json(task.to_json(), Experiment().goals).same_as(task)


def test_what_the_experiment_says_stands():
    said = Normalize(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    task = prepared(Images(policy="crop", filter="area", crop_fraction=1.0), normalize=said)
    assert task.normalize == said
    assert (task.images.filter, task.images.crop_fraction) == ("area", 1.0)


def test_without_weights_the_defaults_stand():
    for weights in (None, {"preprocessing": {}}, {"preprocessing": {"interpolation": "nearest"}}):
        task = prepared(Images(), weights)
        assert (task.normalize, task.images.filter) == (Normalize(), None)


@pytest.mark.parametrize("fields", [{"crop_fraction": 0.0, "policy": "crop"}, {"crop_fraction": 0.9}])
def test_a_crop_that_cannot_be_is_refused(fields):
    with pytest.raises(UserError, match=r"Images\.crop_fraction: expected"):
        Images(**fields)


@pytest.mark.parametrize(
    "factor", [4.7, 255.0]
)  # normalised by ImageNet's mean and deviation; 0 to 255 as floats
def test_floats_that_are_no_intensities_are_not_normalised_unasked(tmp_path, factor):
    images = (np.random.default_rng(0).random((6, 8, 8, 3)) - (factor < 5) * 0.45) * factor
    np.savez(tmp_path / "a.npz", images=images, targets=np.zeros((6, 2)))
    data = Arrays(root=str(tmp_path / "a.npz"))
    with pytest.raises(
        UserError, match=r"Arrays: the images are floats from .* where normalisation expects 0 to 1"
    ):
        resolve(Experiment(data=data, training=ONE), data.open())
    said = Normalize(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    recipe = resolve(Experiment(data=data, normalize=said, training=ONE), data.open())
    assert recipe.task.normalize == said


@dataclass(frozen=True, kw_only=True)
class Digits(Arrays):
    mirrors: ClassVar[frozenset[str]] = frozenset()


@pytest.mark.parametrize("part", [{"augment": (Flip(),)}, {"balance": MirrorCopies()}])
def test_what_changes_in_a_mirror_is_not_mirrored(part):
    with pytest.raises(
        UserError, match=r"\(horizontal=True\): a horizontal mirror image of Digits shows something"
    ):
        Experiment(data=Digits(), **part)
    Experiment(data=Digits(), augment=(Flip(horizontal=False),), balance=Oversample())


def test_mirrored_copies_are_not_mirrored_again():
    with pytest.raises(UserError, match=r"beside horizontal Flip\(\): .*repeat their images"):
        Experiment(balance=MirrorCopies(vertical=True), augment=(Flip(),))
    Experiment(balance=MirrorCopies(), augment=(Flip(horizontal=False, vertical=True),))


def test_the_network_is_as_wide_as_its_input():
    data = Simulated(images=4, test_images=1, size=32)
    recipe = resolve(
        Experiment(data=data, channels=(Sobel(), GaborBank()), split=HALF, training=ONE), data.open()
    )
    assert recipe.task.image_shape == (32, 32, 3)
    assert recipe.input.shape == (32, 32, 3 + 1 + 8)
    params = recipe.shapes[1]
    assert params["backbone"]["levels"][0]["conv"]["kernel"].shape[2] == 12


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"channels": (Wavelet(level=5),)}, "5 needs images of at least 32 pixels, found 16 x 16"),
        ({"augment": (Crop(pixels=16),)}, "expected less than the image's 16 x 16, found 16"),
    ],
)
def test_images_too_small_for_a_part_are_refused_before_they_are_decoded(part, words):
    data = Simulated(images=4, test_images=1, size=16)
    with pytest.raises(UserError, match=words):
        resolve(Experiment(data=data, split=HALF, training=ONE, **part), data.open())


def test_a_run_of_before_masks_were_known_can_be_read():
    task = task_of(Experiment(), ("a",), Images(size=(8, 8)), Normalize())
    old = task.to_json()
    del old["masks"]
    assert Task.from_json(old, Experiment().goals).same_as(task)


def test_a_smoke_test_of_mixing_has_pairs_on_each_device():
    assert Experiment(mix=Mixup()).smoke().training.batch_size % 8 == 0


def test_what_needs_validation_scores_is_refused_where_others_validate():
    there = Training(epochs=1, validate="elsewhere")
    with pytest.raises(UserError, match=r"Training\.early_stopping: 3 epochs are counted by validation"):
        Training(epochs=1, validate="elsewhere", early_stopping=3)
    with pytest.raises(UserError, match=r"optimizer\.schedule: Plateau\(\) lowers"):
        Experiment(training=there, optimizer=AdamW(schedule=Plateau()))
    assert "validate" not in to_json(Training(epochs=1)), "older runs stay what they are"
    assert to_json(there)["validate"] == "elsewhere"

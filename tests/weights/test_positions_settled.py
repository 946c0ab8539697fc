"""Position embeddings at another size than pretraining's are resized as whoever wrote the weights resizes them.

The kind: what a layout decides about the computation though no parameter says so. It is settled by the weights where
the config leaves it open, kept in the run, and what earlier versions recorded computes as it did.
"""

from dataclasses import replace

import numpy as np
import pytest
from reference.files import load, state_dict

from jaxlab.core.config import from_json, identity, to_json
from jaxlab.data import Images, Normalize
from jaxlab.encode import ImageEncoder
from jaxlab.experiment import Experiment, Objective
from jaxlab.experiment.inputs import ImageInput
from jaxlab.experiment.recipe import recalled
from jaxlab.experiment.task import Task
from jaxlab.heads import Linear
from jaxlab.models import DeiT, DINOv2, ViT
from jaxlab.nn.positions import aligned, antialiased, interpolated
from jaxlab.objectives import resolved
from jaxlab.weights import family_of, settled

LAYOUTS = {
    "vit_tiny_timm": (ViT(size="tiny"), "timm"),
    "vit_tiny_transformers": (ViT(size="tiny", image_size=64), "transformers"),
    "vit_base_torchvision": (ViT(image_size=64), "torchvision"),
    "deit_tiny_distilled_transformers": (DeiT(size="tiny", image_size=64, distilled=True), "transformers"),
    "dinov2_small_timm": (DINOv2(image_size=56), "timm"),
    "dinov2_small_transformers": (DINOv2(), "transformers"),
}


@pytest.mark.parametrize("golden", LAYOUTS)
def test_each_layout_brings_its_own_way(golden):
    config, positions = LAYOUTS[golden]
    assert family_of(config).layout(config, state_dict(golden)).settles == {"positions": positions}


def test_the_authors_of_dinov2_keep_a_mask_token_and_an_offset_that_is_given_stays():
    source = state_dict("dinov2_small_timm")
    authors = source | {"mask_token": np.zeros((1, 384), np.float32)}
    config = DINOv2(image_size=56)
    assert family_of(config).layout(config, authors).settles == {"positions": "dinov2"}
    given = replace(config, position_offset=0.0)
    settles = family_of(given).layout(given, source).settles
    assert settled(given, {"settles": settles}) == given
    encoder = ImageEncoder(model=replace(given, pretrained="weights.pth"), images=Images(size=(56, 56)))
    again = encoder.as_in({"encoder": identity(encoder)})
    assert settled(again.model, {"settles": settles}) == encoder.model, "a run's own encoder is the run's"


@pytest.mark.parametrize(
    ("config", "matrix"),
    [
        (ViT(), antialiased(14, 9)),
        (ViT(positions="transformers"), interpolated(14, 9)),
        (DeiT(positions="torchvision"), aligned(14, 9)),
        (DINOv2(), interpolated(14, 9, 0.1)),
        (DINOv2(position_offset=0.0), interpolated(14, 9)),
        (DINOv2(positions="timm"), antialiased(14, 9)),
        (DINOv2(positions="transformers"), interpolated(14, 9)),
    ],
)
def test_a_config_resizes_as_it_says(config, matrix):
    np.testing.assert_array_equal(config.position_matrix(14, 9), matrix)


def test_what_is_open_is_settled_what_is_usual_stays_unwritten_and_what_is_given_stays():
    record = {"settles": {"positions": "transformers"}}
    assert settled(ViT(), record) == ViT(positions="transformers")
    assert settled(ViT(positions="torchvision"), record) == ViT(positions="torchvision")
    assert settled(ViT(positions="timm"), record) == ViT()
    assert settled(DINOv2(), {"settles": {"positions": "dinov2"}}) == DINOv2()
    assert settled(ViT(), {"layout": "transformers"}) == settled(ViT(), None) == ViT(), "an earlier record"
    assert "positions" not in to_json(ViT())


def task_of(experiment):
    objectives = resolved({"activity": Objective()}, {"activity": ("a",)})
    return Task(objectives, experiment.images, "uint8", Normalize())


def test_a_run_keeps_what_its_weights_settled(monkeypatch):
    """By its record; the experiment, and with it the run's name, stay as they are."""
    experiment = Experiment(model=ViT(size="tiny"), head=Linear(layer="cls"), images=Images(size=(96, 160)))
    record = load(ViT(size="tiny", image_size=64), state_dict("vit_tiny_transformers"))[2]
    before = task_of(experiment)
    assert "settled" not in before.to_json()
    after = before.settled_by(experiment.model, record)
    again = Task.from_json(after.to_json(), {"activity": Objective()})
    assert again.settled == {"positions": "transformers"}
    built = []
    original = ViT.position_matrix
    monkeypatch.setattr(
        ViT, "position_matrix", lambda self, *sizes: built.append(self.positions) or original(self, *sizes)
    )
    for task in (before, again):
        recalled(experiment, task, ImageInput(experiment, task))
    assert list(dict.fromkeys(built)) == [None, "transformers"]


def test_an_encoder_of_an_earlier_run_stays_what_it_was():
    pretrained = ViT(size="tiny", pretrained="weights.pth")
    encoder = ImageEncoder(model=pretrained, images=Images(size=(96, 96)))
    earlier = {"encoder": identity(encoder)}
    then = from_json(to_json(encoder)).as_in(earlier)
    assert settled(then.model, {"settles": {"positions": "transformers"}}) == pretrained
    random = replace(encoder, model=ViT(size="tiny"))
    assert random.as_in(earlier).model == ViT(size="tiny")
    now = {"encoder": identity(replace(encoder, model=replace(pretrained, positions="transformers")))}
    assert encoder.as_in(now).model.positions == "transformers"

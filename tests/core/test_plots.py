"""Figures of records as they come: with undefined scores, of either kind, of several objectives."""

import pytest
from PIL import Image

from jaxlab.core.plots import training_curves

pytestmark = pytest.mark.usefixtures("painted_figures")


def record(split: str, step: int, **scores: float | None) -> dict:
    return {"split": split, "step": step, "epoch": step, "loss": 1.0, **scores}


@pytest.mark.parametrize(
    "scores",
    [
        [{"pearson": None}, {"pearson": 0.5}],  # with one validation sample, say, r is undefined
        [{"pearson": None}, {"pearson": None}],
        [{"accuracy": 0.5}, {"accuracy": 0.25}],
        [{"pearson": 0.1, "object/accuracy": 0.5}] * 2,
    ],
)
def test_curves_are_drawn_of_what_is_defined(tmp_path, scores):
    records = [record("step", 1, learning_rate=0.1)]
    records += [record("validation", step, **one) for step, one in enumerate(scores, 1)]
    training_curves(records, tmp_path / "plots/curves.png")
    with Image.open(tmp_path / "plots/curves.png") as image:
        assert image.size[0] > 1000
        assert len(image.convert("RGB").getcolors(1 << 24)) > 50, "something is drawn"


def test_several_objectives_have_a_row_of_their_own(tmp_path):
    """Their losses, and where they were compared the gradients; an undefined cosine is left out."""
    both = {"pearson": 0.1, "activity/loss": 0.5, "object/loss": 0.7}
    compared = {
        "activity/gradient_norm": 0.2,
        "object/gradient_norm": 0.1,
        "activity/object/gradient_cosine": None,
    }
    for number, extra in enumerate(({}, compared, compared | {"activity/object/gradient_cosine": -0.3})):
        records = [record("step", 1, learning_rate=0.1)]
        records += [record("train", step, **both, **extra) for step in (1, 2)]
        records += [record("validation", step, **both) for step in (1, 2)]
        training_curves(records, tmp_path / f"{number}.png")
        with Image.open(tmp_path / f"{number}.png") as image:
            assert image.size[1] > 700


def test_without_a_validation_there_is_no_figure(tmp_path):
    training_curves([record("step", 1, learning_rate=0.1)], tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()

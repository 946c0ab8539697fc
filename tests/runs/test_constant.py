"""Predictions that say nothing are warned of before they are written, in whatever unit and of whatever offset."""

import numpy as np
import pytest
from PIL import Image

from jaxlab.runs.constant import constants
from submit import Predictions

NAMES = np.array(["a", "b", "c"])


def made(values, kind="regression") -> Predictions:
    return Predictions(np.array([f"s{k}" for k in range(len(values))]), values, NAMES, kind)


@pytest.mark.parametrize("unit", [1e-30, 1e-13, 1.0, 1e15, 1e30])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_constant_targets_are_named(unit, offset):
    values = (np.random.default_rng(0).normal(size=(9, 3)) + offset) * unit
    assert constants(made(values.astype(np.float32))) is None
    values[:, 1] = 0.1 * unit
    values[3, 1] *= 1 + 1e-7  # rounding
    line = constants(made(values.astype(np.float32)))
    assert line.startswith(
        "warning: the test predictions are the same for all 9 images in 1 of 3 targets (b): "
    )
    assert "in 3 of 3 targets (a, b, c)" in constants(made(values[:1].repeat(9, 0)))


def test_one_image_or_one_class_for_all_is_no_fault():
    values = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    assert constants(made(values[:1])) is None
    values[:, 0] = 30
    assert constants(made(values, "logits")) is None
    assert "in 3 of 3 classes" in constants(made(np.tile(np.float32([3, 1, 2]), (9, 1)), "logits"))
    assert constants(made(np.full((9, 3), np.nan, np.float32))) is None


def test_keeping_them_says_so_first(tmp_path, capsys):
    from jaxlab.runs.keeping import Origin, keep
    from jaxlab.training.rundir import RunDirectory

    file = keep(RunDirectory(tmp_path), made(np.ones((4, 3), np.float32)), Origin(True, True))
    assert file.is_file()
    assert "warning: the test predictions are the same for all 4 images" in capsys.readouterr().err


def test_those_of_new_images_are_said_first(trained, arrays_npz, tmp_path, monkeypatch):
    import jaxlab.runs.predict as predict

    images, lines = np.load(arrays_npz)["test_images"], []
    monkeypatch.setattr(predict, "_in_order", lambda run, samples, *_: np.ones((len(samples), 5), np.float32))
    folder = tmp_path / "images"
    folder.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number}.png")
    predict.predict_images([trained], folder, tmp_path / "out.csv", log=lines.append)
    assert lines[0].startswith(
        "warning: the images predictions are the same for all 7 images in 5 of 5 targets"
    )

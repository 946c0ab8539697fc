"""What a small network is shown by tools/distill_pooled.py, and by whom it is taught."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from pooled_folders import SEEN, TRAIN

from submit import Predictions


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "tools")
    import distill_pooled

    return distill_pooled


def test_no_crop_is_of_an_image_that_a_session_has_to_predict(tool, pooled_folders):
    """The first images that s1 learns are among s10's test images."""
    found = tool.untested([pooled_folders / name for name in TRAIN])
    names = [f"{file.parents[1].name}/{file.stem}" for file in found]
    expected = [f"{name}/{k:03d}" for name, count in TRAIN.items() for k in range(count)]
    assert names == expected[SEEN:]


def test_what_another_teacher_said_is_not_taken(tool, tmp_path, monkeypatch):
    def teacher(path):
        """It says its number, of every image."""
        member = SimpleNamespace(checkpoint=lambda which: SimpleNamespace(meta=lambda: {"digest": str(path)}))
        says = lambda images: np.full((len(images), 2), float(path.name), np.float32)  # noqa: E731
        return SimpleNamespace(targets=("a", "b"), usual="best", members=[member], predict=says)

    monkeypatch.setattr("jaxlab.load", teacher)
    (tmp_path / "images").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "images/0.png")

    def said(*numbers):
        file = tool.taught(
            [Path(number) for number in numbers], tmp_path / "images", tmp_path / "teacher.npz"
        )
        return Predictions.load(file).values[0, 0], file.stat().st_mtime_ns

    assert said("1") == said("1")
    assert said("1", "4")[0] == 2.5
    assert said("1")[0] == 1

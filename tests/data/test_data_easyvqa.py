"""easy-VQA against the functions of its own package, which read the same files; and each fault with its message."""

import importlib.util
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import jaxlab
from jaxlab.core.config import load_file
from jaxlab.core.types import UserError
from jaxlab.data import EasyVQA
from jaxlab.runs import api

needs_easy_vqa = pytest.mark.skipif(
    importlib.util.find_spec("easy_vqa") is None, reason="easy-vqa (jaxlab[easyvqa]) is not installed"
)


@needs_easy_vqa
@pytest.mark.slow
def test_questions_are_the_packages() -> None:
    import easy_vqa

    data = EasyVQA().open()
    assert sorted(data.targets) == sorted(easy_vqa.get_answers())
    for samples, get, paths in (
        (data.train, easy_vqa.get_train_questions, easy_vqa.get_train_image_paths()),
        (data.test, easy_vqa.get_test_questions, easy_vqa.get_test_image_paths()),
    ):
        text, answers, image = get()
        assert samples.columns["question"].tolist() == list(text)
        assert [data.targets[label] for label in samples.label] == list(answers)
        assert samples.image_of.tolist() == list(image)
        asked = [
            "yes/no" if not one.startswith("what") else "color" if "color" in one else "shape" for one in text
        ]
        assert samples.columns["answer_type"].tolist() == asked
        with Image.open(paths[image[-1]]) as last:
            np.testing.assert_array_equal(samples.read(len(samples) - 1), np.asarray(last.convert("RGB")))
    assert len(set(data.train.ids.tolist())) == len(data.train) == 38575


@needs_easy_vqa
@pytest.mark.slow
def test_it_is_trained_on_and_predicted(tmp_path: Path) -> None:
    shipped = load_file(Path(__file__).parents[2] / "configs" / "easyvqa.py")
    experiment = shipped.overridden(
        [
            "images.size=16,16",
            "model.image.channels=(4,)",
            "model.image.kernel_sizes=(3,)",
            "model.fusion.width=8",
            "training.epochs=none",
            "training.steps=2",
            "training.batch_size=8",
            "training.parallel=single",
            "limit=64",
        ]
    )
    run = api.train(experiment, tmp_path / "run", console=Console(file=io.StringIO()))
    assert jaxlab.load(run).predict_split("test").values.shape == (9673, 13)


ANSWERS = "with answers among no, yes"
BAD = {
    "not JSON": ("[[", "train/questions.json: cannot be read as JSON"),
    "other rows": ('[["a", "yes"]]', rf"expected a list of \[question, answer, image\] {ANSWERS}"),
    "other answer": ('[["a", "blue", 0]]', rf"expected a list of \[question, answer, image\] {ANSWERS}"),
    "no image": ('[["a", "yes", 7]]', r"no image for 1 of its 1 image numbers \(7\)"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_explained(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, words = BAD[case]
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "questions.json").write_text(text)
    (tmp_path / "answers.txt").write_text("yes\nno\n")
    monkeypatch.setattr("jaxlab.data.sources.easyvqa.packaged", lambda *_: tmp_path)
    with pytest.raises(UserError, match=words):
        EasyVQA().open()


def test_a_package_without_its_answers_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jaxlab.data.sources.easyvqa.packaged", lambda *_: tmp_path)
    with pytest.raises(UserError, match=r"answers.txt: cannot be read \(No such file or directory\)"):
        EasyVQA().open()


def test_without_the_package_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"package easy_vqa: pip install 'jaxlab\[easyvqa\]'"):
        EasyVQA().open()

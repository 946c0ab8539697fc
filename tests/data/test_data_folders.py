"""Images in one folder a class, and each kind of fault in such a tree."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import jaxlab
from jaxlab.core.types import UserError
from jaxlab.data import ColumnSplit, ImageFolders, Images, RandomSplit, decode
from jaxlab.data.source import Opened
from jaxlab.experiment import Experiment, Training
from jaxlab.losses import CrossEntropy
from jaxlab.models import ShallowCNN
from jaxlab.runs import api


def picture(path: Path, value: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (16, 16), (value, 0, 255 - value)).save(path)


def opened(root: Path, **fields) -> Opened:
    return ImageFolders(root=str(root), **fields).open()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes, their images named alike; two images to predict."""
    root = tmp_path / "images"
    for k in range(3):
        picture(root / "cat" / f"{k}.png", k)
        picture(root / "dog" / f"{k}.png", 100 + k)
    picture(root / "test" / "b.png", 7)
    picture(root / "test" / "a.png", 8)
    return root


def split_tree(root: Path) -> None:
    """The classes below `train`, and one image of each below `val`."""
    for name in ("cat", "dog"):
        (root / "train").mkdir(exist_ok=True)
        (root / name).rename(root / "train" / name)
        picture(root / "val" / name / "0.png")


def test_classes_are_folders_and_ids_are_paths(root: Path) -> None:
    data = opened(root)
    assert (data.kind, data.targets) == ("classification", ("cat", "dog"))
    assert data.train.ids.tolist() == [f"{name}/{k}.png" for name in ("cat", "dog") for k in range(3)]
    assert data.train.label.dtype == np.int32
    assert data.train.label.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.test.ids.tolist() == ["a.png", "b.png"]
    assert decode(data.train, np.arange(6), Images())[:, 0, 0, 0].tolist() == [0, 1, 2, 100, 101, 102]
    assert decode(data.test, np.arange(2), Images())[:, 0, 0, 0].tolist() == [8, 7]


def test_splits_of_the_tree_itself(root: Path) -> None:
    split_tree(root)
    data = opened(root)
    assert data.train.ids.tolist()[::3] == ["train/cat/0.png", "train/dog/0.png", "val/cat/0.png"]
    assert len(set(data.train.ids.tolist())) == 8
    learn, validate = ColumnSplit(column="split").split(data.train)
    assert (len(learn), data.train.label[validate].tolist()) == (6, [0, 1])
    (root / "val").rename(root / "valid")
    assert len(opened(root).train) == 6
    assert len(opened(root, validation="valid").train) == 8


def test_hidden_and_other_files_are_left_out(root: Path) -> None:
    for name in ("._0.png", ".DS_Store", "Thumbs.db", "notes.txt"):
        (root / "cat" / name).write_bytes(b"x")
        (root / "test" / name).write_bytes(b"x")
    (root / ".ipynb_checkpoints").mkdir()
    (root / "README.md").write_text("x")
    data = opened(root)
    assert (len(data.train), len(data.test)) == (6, 2)


def test_images_of_another_format_are_told(root: Path) -> None:
    """Left out without a word, a phone's half of the images would be missing."""
    for name in ("cat/9.HEIC", "cat/8.jfif", "test/c.avif"):
        (root / name).write_bytes(b"x")
    cat, test = opened(root).notes
    assert f"{root / 'cat'}: 2 files are left out" in cat
    assert "(8.jfif, 9.HEIC); save them as .png or .jpg" in cat
    assert f"{root / 'test'}: 1 file is left out" in test
    for path in (root / "dog").iterdir():
        path.rename(path.with_suffix(".heic"))
    with pytest.raises(UserError, match=r"1 classes have no image \(dog\).*dog: 3 files are left out"):
        opened(root)


def test_numbered_classes_are_sorted_by_value(tmp_path: Path) -> None:
    for name in ("10", "9"):
        picture(tmp_path / name / "x.png")
    data = opened(tmp_path)
    assert (data.targets, data.train.label.tolist(), data.test) == (("9", "10"), [1, 0], None)


def test_test_images_may_lie_in_folders_and_need_no_training_images(tmp_path: Path) -> None:
    picture(tmp_path / "test" / "cat" / "x.png")
    picture(tmp_path / "test" / "dog" / "x.png")
    test, sample = ImageFolders(root=str(tmp_path)).open_test()
    assert (test.ids.tolist(), sample) == (["cat/x.png", "dog/x.png"], None)
    picture(tmp_path / "test" / "dog" / "deep" / "er" / "y.png")
    test, _ = ImageFolders(root=str(tmp_path)).open_test()
    assert test.ids.tolist() == ["cat/x.png", "dog/x.png", "dog/deep/er/y.png"]


def nest(root: Path) -> None:
    (root / "set").mkdir()
    for name in ("cat", "dog"):
        (root / name).rename(root / "set" / name)


def drop_train(root: Path) -> None:
    split_tree(root)
    (root / "train").rename(root / "elsewhere")


def new_class(root: Path) -> None:
    split_tree(root)
    picture(root / "val" / "cow" / "0.png")


BAD: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "empty class": (lambda r: (r / "eel").mkdir(), ["1 classes have no image (eel)"]),
    "single class": (lambda r: (r / "dog").rename(r / "test" / "dog"), ["two classes or more, found cat"]),
    "no class": (
        lambda r: [(r / name).rename(r / "test" / name) for name in ("cat", "dog")],
        ["two classes or more, found none"],
    ),
    "beside": (lambda r: picture(r / "x.png"), ["1 images lie beside the class folders (x.png)"]),
    "nested": (nest, ["2 folders lie in class folders (set/cat, set/dog)", "data.root"]),
    "nested below train": (
        lambda r: picture(r / "cat" / "more" / "9.png"),
        ["1 folders lie in class folders (cat/more)"],
    ),
    "no train": (drop_train, ["'val'", "none named 'train'"]),
    "new class": (new_class, ["val", "cow not among the classes of 'train'"]),
    "gone": (shutil.rmtree, ["data.root", "nothing at"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_trees_are_explained(root: Path, case: str) -> None:
    spoil, words = BAD[case]
    spoil(root)
    with pytest.raises(UserError) as error:
        opened(root)
    assert all(word in str(error.value) for word in words), error.value
    assert "\n" not in str(error.value)


def test_all_problems_come_at_once(root: Path) -> None:
    for case in ("empty class", "beside", "nested below train"):
        BAD[case][0](root)
    with pytest.raises(UserError) as error:
        opened(root)
    assert all(word in str(error.value) for word in ("eel", "x.png", "cat/more"))


@pytest.mark.slow
@pytest.mark.parametrize("splits", [False, True])
def test_folders_are_trained_on_and_predicted(root: Path, splits: bool) -> None:
    if splits:
        split_tree(root)
    experiment = Experiment(
        data=ImageFolders(root=str(root)),
        split=ColumnSplit(column="split") if splits else RandomSplit(validation=0.34),
        model=ShallowCNN(channels=(4,), kernel_sizes=(3,)),
        loss=CrossEntropy(),
        training=Training(steps=2, batch_size=4, parallel="single"),
    )
    run = api.train(experiment, root.parent / "run", console=Console(file=io.StringIO()))
    predicted = jaxlab.load(run).predict_split("test")
    assert predicted.ids.tolist() == ["a.png", "b.png"]
    assert predicted.targets.tolist() == ["cat", "dog"]

"""Arrays in an npz, an HDF5 file or a folder of npy files."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from tiny import trained_run

from jaxlab.core.types import UserError
from jaxlab.data.source import Opened
from jaxlab.data.sources.arrays import Arrays

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 255, (5, 4, 6, 3), dtype=np.uint8)
TARGETS = RNG.normal(size=(5, 2))
REPEATS = RNG.normal(size=(5, 3, 2)) + TARGETS[:, None]


def saved(folder: Path, form: str = "npz", **arrays: np.ndarray) -> str:
    folder.mkdir(exist_ok=True)
    if form == "npz":
        np.savez(folder / "data.npz", **arrays)
        return str(folder / "data.npz")
    if form == "h5":
        with h5py.File(folder / "data.h5", "w") as file:
            for name, array in arrays.items():
                file[name] = array.astype(object) if array.dtype.kind == "U" else array
        return str(folder / "data.h5")
    (folder / "data").mkdir()
    for name, array in arrays.items():
        np.save(folder / "data" / f"{name}.npy", array)
    return str(folder / "data")


def opened(folder: Path, form: str = "npz", channels_first: bool = False, **arrays: np.ndarray) -> Opened:
    return Arrays(root=saved(folder, form, **arrays), channels_first=channels_first).open()


@pytest.mark.parametrize("form", ["npz", "npy", "h5"])
def test_regression(tmp_path: Path, form: str) -> None:
    data = opened(
        tmp_path,
        form,
        images=IMAGES,
        targets=TARGETS,
        ids=np.array(list("abcde")),
        target_names=np.array(["u", "v"]),
        subject=np.array([1, 1, 2, 2, 2]),
        test_images=IMAGES[:2],
    )
    assert (data.kind, data.targets) == ("regression", ("u", "v"))
    np.testing.assert_array_equal(data.train.target, TARGETS.astype(np.float32))
    np.testing.assert_array_equal(data.train.read(3), IMAGES[3])
    assert data.train.columns["subject"].tolist() == ["1", "1", "2", "2", "2"]
    assert data.test is not None
    assert data.test.ids.tolist() == ["test-000000", "test-000001"]
    sums = data.train.checksum
    assert sums(0) == data.test.checksum(0)
    assert sums(1) != data.test.checksum(0)


def test_labels(tmp_path: Path) -> None:
    data = opened(tmp_path, images=IMAGES, labels=np.array(["b", "a", "b", "c", "a"]))
    assert (data.kind, data.targets) == ("classification", ("a", "b", "c"))
    assert data.train.label.tolist() == [1, 0, 1, 2, 0]
    named = opened(
        tmp_path, images=IMAGES, labels=np.array([1, 0, 1, 1, 0]), target_names=np.array(["x", "y", "z"])
    )
    assert (named.targets, named.train.label.tolist()) == (("x", "y", "z"), [1, 0, 1, 1, 0])


def test_layouts(tmp_path: Path) -> None:
    first = opened(tmp_path, channels_first=True, images=np.moveaxis(IMAGES, 3, 1), targets=TARGETS)
    np.testing.assert_array_equal(first.train.read(1), IMAGES[1])
    grey = opened(tmp_path, images=IMAGES[..., 0] / np.float64(7), targets=TARGETS[:, 0])
    assert grey.train.read(1).dtype == np.float32
    assert grey.train.read(1).shape == (4, 6, 1)
    assert grey.targets == ("t00000",)


@pytest.mark.parametrize("form", ["npz", "npy", "h5"])
def test_repeats_are_averaged_and_give_the_ceiling(tmp_path: Path, form: str) -> None:
    repeats = REPEATS.copy()
    repeats[1:, 2] = np.nan
    data = opened(tmp_path, form, images=IMAGES, targets=repeats)
    means = np.vstack([REPEATS[:1].mean(1), REPEATS[1:, :2].mean(1)])
    np.testing.assert_allclose(data.train.target, means, rtol=1e-6)
    variances = np.vstack([2 * REPEATS[:1].var(1, ddof=1), REPEATS[1:, :2].var(1, ddof=1)])
    noise = variances.sum(0) / 6  # six presentations beyond the first of their image
    share = 1 - noise * (1 / 3 + 4 / 2) / 5 / means.var(0, ddof=1)
    np.testing.assert_allclose(data.ceiling, np.clip(share, 0, 1), rtol=1e-6)
    once = opened(tmp_path / "once", form, images=IMAGES, targets=TARGETS[:, None])
    np.testing.assert_allclose(once.train.target, TARGETS, rtol=1e-6)
    assert once.ceiling is None


def test_images_of_hdf5_stay_on_disk(tmp_path: Path) -> None:
    data = opened(tmp_path, "h5", images=IMAGES, targets=TARGETS, label=np.array([b"a"] * 5))
    content = (tmp_path / "data.h5").read_bytes()
    (tmp_path / "data.h5").write_bytes(content.replace(IMAGES[3].tobytes(), bytes(IMAGES[3].size)))
    assert (data.train.read(3) == 0).all()
    np.testing.assert_array_equal(data.train.read(2), IMAGES[2])
    assert data.train.columns["label"].tolist() == ["a"] * 5


BAD = {
    "no images": ({"images": None}, ["no array 'images'", "targets"]),
    "neither": ({"targets": None}, ["either 'targets' or 'labels'"]),
    "both": ({"labels": np.arange(5)}, ["either 'targets' or 'labels'"]),
    "lengths": ({"targets": TARGETS[:3]}, ["5 images", "'targets' has shape (3, 2)"]),
    "ids": ({"ids": np.array(list("abcd"))}, ["5 images", "'ids' has shape (4,)"]),
    "twice": ({"ids": np.array(list("abcda"))}, ["1 ids occur more than once (a)"]),
    "empty": ({"ids": np.array(["a", "", "c", " ", "e"])}, ["2 ids are empty (positions 1, 3)"]),
    "unknown": ({"target": TARGETS}, ["'target' has shape (5, 2)"]),
    "no target": ({"targets": np.zeros((5, 0))}, ["'targets': expected numbers (n, t)", "(5, 0)"]),
    "test targets": (
        {"test_images": IMAGES[:2], "test_targets": TARGETS[:2]},
        ["'test_images' holds 2 images but 'test_targets' has shape (2, 2), expected (2,)"],
    ),
    "test ids": ({"test_ids": np.array(["a"])}, ["'test_ids' without 'test_images'"]),
    "objects": ({"subject": np.array([{}] * 5)}, ["object arrays are never read"]),
    "dtype": ({"images": IMAGES.astype(np.int64)}, ["uint8 or float", "int64"]),
    "nchw": ({"images": np.moveaxis(IMAGES, 3, 1)}, ["(5, 3, 4, 6)", "channels_first=true"]),
    "names": ({"target_names": np.array(["u"])}, ["2 columns", "shape (1,)"]),
    "same names": ({"target_names": np.array(["u", "u"])}, ["target_names", "more than once (u)"]),
    "NaN": ({"targets": np.vstack([TARGETS[:3], [0, np.nan], TARGETS[4:]])}, ["row 3, column 1"]),
    "repeats": (
        {"targets": REPEATS * [[[1, np.nan]]]},
        ["5 responses have no finite repeat", "image 0, column 1"],
    ),
    "infinite repeat": (
        {"targets": np.where(REPEATS > 9, 0, np.inf)},
        ["'targets': 10 responses have no finite"],
    ),
    "four axes": ({"targets": REPEATS[None].repeat(5, 0)}, ["(n, repeats, t)", "(5, 5, 3, 2)"]),
    "text": ({"targets": np.array([list("ab")] * 5)}, ["'targets'", "expected numbers"]),
    "float labels": ({"targets": None, "labels": np.ones(5)}, ["'labels'", "float64"]),
    "label range": (
        {"targets": None, "labels": np.arange(5), "target_names": np.array(["x", "y"])},
        ["0 to 1", "found 0 to 4"],
    ),
}


@pytest.mark.parametrize("form", ["npz", "npy", "h5"])
@pytest.mark.parametrize("case", BAD)
def test_bad_arrays_are_explained(tmp_path: Path, case: str, form: str) -> None:
    if (case, form) == ("objects", "h5"):
        pytest.skip("h5py writes no Python objects")
    changes, words = BAD[case]
    arrays = {"images": IMAGES, "targets": TARGETS, **changes}
    with pytest.raises(UserError) as error:
        opened(tmp_path, form, **{name: array for name, array in arrays.items() if array is not None})
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize("form", ["npz", "npy", "h5"])
def test_columns_of_test_images_are_theirs(tmp_path: Path, form: str) -> None:
    """Not the labelled images', of which there are as many or not."""
    day = np.array([3, 1, 4, 1, 5])
    data = opened(
        tmp_path, form, images=IMAGES, targets=TARGETS, day=day, test_images=IMAGES[:2], test_day=day[:2]
    )
    assert {name: values.tolist() for name, values in data.train.columns.items()} == {"day": list("31415")}
    assert {name: values.tolist() for name, values in data.test.columns.items()} == {"day": ["3", "1"]}
    alone = opened(tmp_path / "alone", form, images=IMAGES, targets=TARGETS, test_day=day)
    assert alone.train.columns["test_day"].tolist() == list("31415"), "where there are no test images"


def test_bad_files_are_explained(tmp_path: Path) -> None:
    path = Path(saved(tmp_path, images=IMAGES, targets=TARGETS))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=r"data.npz: cannot be read"):
        Arrays(root=str(path)).open()
    with pytest.raises(UserError, match="nothing at"):
        Arrays(root=str(tmp_path / "gone.npz")).open()
    with pytest.raises(UserError, match=r"--set data\.root"):
        Arrays().open()


def test_an_image_that_is_not_finite_is_named(tmp_path: Path) -> None:
    images = IMAGES.astype(np.float32)
    images[2, 0, 0, 0] = np.inf
    data = opened(tmp_path, images=images, targets=TARGETS, ids=np.array(list("abcde")))
    with pytest.raises(UserError, match="image c: 1 values"):
        data.train.read(2)


def test_bad_hdf5_files_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "data.h5"
    path.write_bytes(b"not HDF5")
    with pytest.raises(UserError, match=r"data.h5: cannot be read as HDF5"):
        Arrays(root=str(path)).open()
    with h5py.File(tmp_path / "groups.h5", "w") as file:
        file["monkey/images"] = IMAGES
    with pytest.raises(UserError, match=r"expected arrays at the top level, found groups \(monkey\)"):
        Arrays(root=str(tmp_path / "groups.h5")).open()
    with pytest.raises(UserError, match=r"expected an HDF5 file, found nothing at"):
        Arrays(root=str(tmp_path / "gone.h5")).open()


@pytest.mark.slow
def test_an_hdf5_file_with_repeats_trains(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 3, 16, 16), dtype=np.uint8)
    repeats = images.mean((1, 2, 3))[:, None, None] + rng.normal(size=(40, 3, 2))
    path = saved(tmp_path, "h5", images=images, targets=repeats, test_images=images[:3])
    settings = ["data.channels_first=true", "training.epochs=none", "training.steps=2"]
    run = trained_run(Path(path), tmp_path / "run", *settings)
    assert "noise_normalised" in (run / "metrics.jsonl").read_text()


@pytest.mark.parametrize("form", ["npz", "npy", "h5"])
def test_one_target_of_few_whole_numbers_may_be_classes(tmp_path: Path, form: str) -> None:
    data = opened(tmp_path, form, images=IMAGES, targets=np.array([0, 1, 1, 0, 1]))
    assert data.kind == "regression"
    assert "'targets' holds 2 different whole numbers (0, 1)" in data.notes[0]
    assert "call the array 'labels'" in data.notes[0]


def test_other_targets_are_no_classes(tmp_path: Path) -> None:
    assert opened(tmp_path / "a", images=IMAGES, targets=np.arange(5)).notes == ()
    assert opened(tmp_path / "b", images=IMAGES, targets=np.ones((5, 2))).notes == ()


WHOLE = {"images": IMAGES, "labels": np.array([0, 1, 2, 0, 1]), "target_names": np.array(list("abc"))}
# The kind: arrays that are read, and are no names; a text that stands for all of them is not one name a letter.
NO_NAMES = {
    "one text": (np.array("abc"), r"'target_names': expected a name for each class \(n,\), found \(\)"),
    "twice": (np.array(["a", "a", "b"]), r"1 target_names occur more than once \(a\)"),
    "records": (np.zeros(3, [("a", "f4")]), "'target_names': expected text or numbers, found"),
    "bytes": (np.array([b"a", b"\xff", b"c"]), "'target_names': expected text in UTF-8"),
    "complex": (np.zeros(3, complex), "'target_names': expected text or numbers, found complex128"),
}


@pytest.mark.parametrize("case", NO_NAMES)
def test_what_is_no_names_is_refused(tmp_path, case):
    names, words = NO_NAMES[case]
    for arrays in (WHOLE, {"images": IMAGES, "targets": RNG.normal(size=(5, 3))}):
        if arrays is WHOLE or case != "one text":
            with pytest.raises(UserError, match=words):
                opened(tmp_path, **{**arrays, "target_names": names})


def test_bytes_of_utf_8_are_names(tmp_path):
    data = opened(tmp_path, **{**WHOLE, "target_names": np.array(["a", "é", "図"])})
    packed = {**WHOLE, "target_names": np.char.encode(["a", "é", "図"], "utf-8")}
    for form in ("npz", "h5"):
        assert opened(tmp_path / form, form, **packed).targets == data.targets == ("a", "é", "図")


def test_images_that_are_one_number_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"'images': expected \(n, h, w\) or"):
        opened(tmp_path, **{**WHOLE, "images": np.array(3, np.uint8)})

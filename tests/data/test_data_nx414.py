"""NX-414's HDF5 file: images normalised once, the file's own split, and what is said of faults."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from tiny import train, trained_run

from jaxlab import load
from jaxlab.core.config import load_file
from jaxlab.core.types import UserError
from jaxlab.data import NX414, ColumnSplit, Images, Normalize, decode
from jaxlab.models import ShallowCNN

RNG = np.random.default_rng(0)
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
LEVELS = RNG.integers(0, 256, (9, 8, 6, 3), dtype=np.uint8)  # 5 train, 2 val, 2 test
SPIKES = RNG.normal(size=(7, 12))
OBJECTS = ["bear", "car_r\xe9d", "bear", "face", "bear", "face", "bear"]


def normalized(levels: np.ndarray) -> np.ndarray:
    """As torchvision's ToTensor and Normalize, channels first."""
    return np.moveaxis((levels / 255 - MEAN) / STD, 3, 1).astype(np.float32)


def file(folder: Path, **changes: np.ndarray | None) -> str:
    names = np.array([name.encode("latin-1") for name in OBJECTS])
    arrays = {
        "stimulus_train": normalized(LEVELS[:5]),
        "stimulus_val": normalized(LEVELS[5:7]),
        "stimulus_test": normalized(LEVELS[7:]),
        "spikes_train": SPIKES[:5],
        "spikes_val": SPIKES[5:],
        "object_train": names[:5],
        "object_val": names[5:],
        "object_test": names[:2],
        **changes,
    }
    with h5py.File(folder / "IT_data.h5", "w") as out:
        for name, array in arrays.items():
            if array is not None:
                out[name] = array
    return str(folder / "IT_data.h5")


def test_what_the_file_holds(tmp_path: Path) -> None:
    data = NX414(root=file(tmp_path)).open()
    np.testing.assert_array_equal(data.train.target, SPIKES.astype(np.float32))
    assert data.targets[:2] == ("n00", "n01")
    assert data.classes == ("bear", "car_r\xe9d", "face")
    assert [data.classes[label] for label in data.train.label] == OBJECTS
    assert data.train.ids[[0, 5]].tolist() == ["train-000000", "val-000000"]
    assert [side.tolist() for side in ColumnSplit().split(data.train)] == [[0, 1, 2, 3, 4], [5, 6]]
    assert data.test is not None
    assert data.test.ids.tolist() == ["test-000000", "test-000001"]
    assert data.test.columns["object"].tolist() == OBJECTS[:2]
    assert data.train.checksum(0) != data.train.checksum(5)


def test_the_published_normalisation_is_undone_so_that_ours_is_the_only_one(tmp_path: Path) -> None:
    data = NX414(root=file(tmp_path)).open()
    images = decode(data.train, np.arange(7), Images())
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, LEVELS[:7])
    np.testing.assert_array_equal(decode(data.test, np.arange(2), Images()), LEVELS[7:])
    stored = np.moveaxis(normalized(LEVELS[:7]), 1, 3)
    np.testing.assert_allclose(Normalize()(images), stored, atol=1e-5)


def test_images_resized_as_floats_stay_floats(tmp_path: Path) -> None:
    shaped = np.clip(LEVELS * 0.9 + 7.3, 0, 255)
    changes = {"stimulus_train": normalized(shaped[:5])}
    data = NX414(root=file(tmp_path, **changes)).open()
    images = decode(data.train, np.arange(5), Images())
    assert images.dtype == np.float32
    np.testing.assert_allclose(images, shaped[:5] / 255, atol=1e-6)
    np.testing.assert_allclose(Normalize()(images), np.moveaxis(changes["stimulus_train"], 1, 3), atol=1e-5)


INTENSITIES = np.moveaxis(LEVELS[:5] / 255, 3, 1)
TWICE = (normalized(LEVELS[:5]) - MEAN.reshape(3, 1, 1)) / STD.reshape(3, 1, 1)
FAULTS = {
    "divided by 255 again": (
        {name: normalized(LEVELS[:5]) / 255 for name in ("stimulus_train",)}
        | {"stimulus_val": normalized(LEVELS[5:7]) / 255, "stimulus_test": None},
        ["looks normalised and then divided by 255", "about -2.1 to 2.6; found -0.00"],
    ),
    "intensities": (
        {"stimulus_train": INTENSITIES, "stimulus_val": INTENSITIES[:2], "stimulus_test": None},
        ["0 to 1, not normalised: use Arrays"],
    ),
    "levels": (
        {"stimulus_train": INTENSITIES * 255, "stimulus_val": INTENSITIES[:2], "stimulus_test": None},
        ["0 to 255, not normalised"],
    ),
    "twice": ({"stimulus_train": TWICE}, ["looks normalised twice"]),
    "another": (
        {
            "stimulus_train": INTENSITIES * 2 - 1,
            "stimulus_val": INTENSITIES[:2] * 2 - 1,
            "stimulus_test": None,
        },
        ["found -1 to 1, which is another normalisation"],
    ),
    "missing": ({"spikes_val": None, "object_train": None}, ["no array spikes_val, object_train; found"]),
    "lengths": (
        {"spikes_train": SPIKES[:4], "object_val": np.array([b"a"])},
        [
            "stimulus_train holds 5 images but spikes_train is (4, 12)",
            "stimulus_val holds 2 images but object_val",
        ],
    ),
    "neurons": ({"spikes_val": SPIKES[5:, :3]}, ["spikes_train has 12 neurons, spikes_val 3"]),
    "layout": (
        {"stimulus_train": np.moveaxis(normalized(LEVELS[:5]), 1, 3)},
        ["stimulus_train: expected floats (n, 3, h, w), found float32 (5, 8, 6, 3)"],
    ),
    "NaN": (
        {"spikes_train": SPIKES[:5] * np.nan},
        ["60 values of spikes_train and spikes_val are not finite"],
    ),
    "text": ({"spikes_val": np.full((2, 12), b"a")}, ["spikes_val: expected numbers, found |S1"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_explained(tmp_path: Path, fault: str) -> None:
    changes, words = FAULTS[fault]
    with pytest.raises(UserError) as error:
        NX414(root=file(tmp_path, **changes)).open()
    assert all(word in str(error.value) for word in words), error.value


def test_an_image_unlike_the_others_is_named(tmp_path: Path) -> None:
    many = {"stimulus_train": normalized(LEVELS[:5].repeat(20, 0)), "spikes_train": SPIKES[:5].repeat(20, 0)}
    path = file(tmp_path, **many, object_train=np.full(100, b"a"))
    with h5py.File(path, "r+") as out:
        out["stimulus_train"][2] = out["stimulus_train"][2] * 2  # not among those looked at
    data = NX414(root=path).open()
    with pytest.raises(UserError, match=r"train-000002: expected levels 0 to 255, found"):
        data.train.read(2)


def test_no_root_says_how_to_set_it() -> None:
    with pytest.raises(UserError, match=r"--set data\.root=IT_data\.h5"):
        NX414().open()


@pytest.mark.slow
def test_trains_and_predicts(tmp_path: Path) -> None:
    levels = np.random.default_rng(1).integers(0, 256, (52, 16, 16, 3), dtype=np.uint8)
    spikes = np.random.default_rng(2).normal(size=(48, 3))
    root = file(
        tmp_path,
        stimulus_train=normalized(levels[:40]),
        stimulus_val=normalized(levels[40:48]),
        stimulus_test=normalized(levels[48:]),
        spikes_train=spikes[:40],
        spikes_val=spikes[40:],
        object_train=np.full(40, b"a"),
        object_val=np.full(8, b"b"),
        object_test=None,
    )
    settings = ["training.epochs=none", "training.steps=2"]
    run = load(trained_run(Path(root), tmp_path / "run", *settings, data=NX414(), split=ColumnSplit()))
    assert run.task.image_dtype == "uint8"
    assert run.predict_split("validation").ids.tolist() == [f"val-{row:06d}" for row in range(8)]
    assert run.predict_split("test").values.shape == (4, 3)


@pytest.mark.slow
def test_the_config_of_two_objectives_trains_and_predicts_objects(tmp_path: Path) -> None:
    """With another network, whose steps compile in no time."""
    shipped = load_file(Path(__file__).parents[2] / "configs/biobjective_resnet.py")
    small = replace(shipped, model=ShallowCNN(channels=(4,), kernel_sizes=(3,)))
    settings = [
        f"data.root={file(tmp_path)}",
        "images.size=(16, 16)",
        "objectives.activity.head.layer=level1",
    ]
    run = load(train(small.overridden([*settings, "objectives.object.weight=0.3"]).smoke(), tmp_path / "run"))
    assert run.targets == tuple(f"n{k:02d}" for k in range(12))
    assert run.predicting("object").predict_split("test").targets.tolist() == ["bear", "car_r\xe9d", "face"]

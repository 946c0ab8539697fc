"""TensorFlow datasets that another writer made: what is read, and the message for each likely fault."""

import hashlib
import io
import json
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grain
import numpy as np
import pytest
from absl import flags
from PIL import Image

from jaxlab.core.types import UserError
from jaxlab.data import Tfds
from jaxlab.data.source import Opened

tfds = pytest.importorskip("tensorflow_datasets", reason="needs jaxlab[tfds]")
pytest.importorskip("array_record", reason="needs jaxlab[tfds]")

RNG = np.random.default_rng(0)
COUNT = 11
IMAGES = RNG.integers(0, 256, (COUNT, 8, 6, 3), dtype=np.uint8)
LH = RNG.normal(size=(COUNT, 3)).astype(np.float32)
RH = RNG.normal(size=COUNT)
CLASSES = RNG.integers(0, 3, COUNT)


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png")
    return buffer.getvalue()


def write(folder: Path, features: dict, train: list[dict], test: list[dict], **info: object) -> Path:
    """A dataset in shards of four records, by tensorflow_datasets' own writer."""
    folder.mkdir(parents=True)
    features = tfds.features.FeaturesDict(features)
    identity = tfds.core.DatasetIdentity(
        name=folder.parent.name, version=tfds.core.Version("1.0.0"), data_dir=str(folder), module_name="tests"
    )
    about = tfds.core.DatasetInfo(builder=identity, features=features, **info)
    writer = tfds.core.SequentialWriter(about, 4, file_format="array_record")
    writer.initialize_splits(["train", "test"] if test else ["train"])
    writer.add_examples({"train": train, **({"test": test} if test else {})})
    writer.close_all()
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """brains/1.0.0: 11 labelled records, three of them again without a label to predict."""
    kinds = tfds.features
    features = {
        "image": kinds.Image(shape=(8, 6, 3)),
        "name": kinds.Text(),
        "label": kinds.ClassLabel(names=["cat", "dog", "owl"]),
        "lh": kinds.Tensor(shape=(3,), dtype=np.float32),
        "rh": kinds.Scalar(np.float64),
        "boxes": kinds.Tensor(shape=(None,), dtype=np.float32),
        "seen": {"subject": kinds.Scalar(np.int64), "tags": kinds.Tensor(shape=(2,), dtype=np.str_)},
    }
    train = [
        {
            "image": png(IMAGES[k]), "name": f"bild-{k}-ü", "label": int(CLASSES[k]), "lh": LH[k], "rh": RH[k],
            "boxes": np.zeros(k, np.float32), "seen": {"subject": k % 2, "tags": [f"a{k}", "b" * k]},
        }
        for k in range(COUNT)
    ]  # fmt: skip
    test = [{**record, "label": -1} for record in train[:3]]
    folder = tmp_path_factory.mktemp("data") / "brains" / "1.0.0"
    return write(folder, features, train, test, supervised_keys=("image", "label"))


def opened(folder: Path, **fields: object) -> Opened:
    return Tfds(root=str(folder), **fields).open()


def test_the_supervised_keys_say_what_is_predicted(source: Path) -> None:
    data = opened(source)
    assert (data.kind, data.targets, data.classes) == ("classification", ("cat", "dog", "owl"), ())
    assert data.train.target is None
    assert data.train.label.dtype == np.int32
    np.testing.assert_array_equal(data.train.label, CLASSES)
    assert data.train.ids[:2].tolist() == ["train-000000", "train-000001"]
    assert len(data.test) == 3
    assert data.test.label is None  # -1 in all of them
    for k in range(COUNT):
        np.testing.assert_array_equal(data.train.read(k), IMAGES[k])
    assert data.train.checksum(5) == hashlib.sha256(png(IMAGES[5])).digest()
    assert "tensorflow" not in sys.modules


def test_features_side_by_side_are_the_targets(source: Path) -> None:
    data = opened(
        source, target=("lh", "rh"), label="label", ids="name", columns=("seen/subject", "seen/tags", "label")
    )
    assert (data.kind, data.classes) == ("regression", ("cat", "dog", "owl"))
    assert data.targets == ("lh00000", "lh00001", "lh00002", "rh")
    assert data.train.target.dtype == np.float32
    np.testing.assert_array_equal(data.train.target, np.float32(np.c_[LH, RH]))
    np.testing.assert_array_equal(data.train.label, CLASSES)
    assert data.train.ids.tolist() == [f"bild-{k}-ü" for k in range(COUNT)]
    assert data.train.columns["seen/subject"].tolist() == [k % 2 for k in range(COUNT)]
    assert data.train.columns["seen/tags"].tolist() == [[f"a{k}", "b" * k] for k in range(COUNT)]
    assert data.test.columns["label"].tolist() == ["", "", ""]
    assert data.train.columns["label"].tolist() == [["cat", "dog", "owl"][k] for k in CLASSES]
    np.testing.assert_array_equal(data.test.target, data.train.target[:3])


def test_parts_of_splits(source: Path) -> None:
    data = opened(source, train="train[2:6]", test="train[9:]", target=("rh",))
    np.testing.assert_array_equal(data.train.target[:, 0], np.float32(RH[2:6]))
    np.testing.assert_array_equal(data.test.read(1), IMAGES[10])
    test, sample = Tfds(root=str(source), ids="name").open_test()
    assert (test.ids.tolist(), sample) == (["bild-0-ü", "bild-1-ü", "bild-2-ü"], None)


def test_by_name(source: Path) -> None:
    data_dir = str(source.parents[1])
    data = Tfds(name="brains", data_dir=data_dir).open()
    np.testing.assert_array_equal(data.train.label, CLASSES)
    assert len(Tfds(name="brains:1.0.0", data_dir=data_dir).open().train) == COUNT


def test_tensors_as_images(tmp_path: Path) -> None:
    kinds = tfds.features
    floats = RNG.normal(size=(5, 4, 3))
    features = {
        "eye": kinds.Tensor(shape=(4, 3), dtype=np.float64, encoding="zlib"),
        "rate": kinds.Scalar(np.int32),
    }
    floats[4, 1, 1] = np.nan
    train = [{"eye": image, "rate": 7 - k} for k, image in enumerate(floats)]
    folder = write(tmp_path / "eyes" / "1.0.0", features, train, [])
    data = opened(folder, image="eye", target=("rate",))
    assert data.test is None
    assert data.train.target.tolist() == [[7], [6], [5], [4], [3]]
    np.testing.assert_array_equal(data.train.read(2), np.float32(floats[2])[..., None])
    assert data.train.checksum(0) == hashlib.sha256(floats[0].tobytes()).digest()
    with pytest.raises(UserError, match="record 4: 1 values are not finite"):
        data.train.read(4)


def test_float_images_lie_in_the_four_channels_of_a_png(source: Path, tmp_path: Path) -> None:
    """tensorflow_datasets stores them so; writing them takes TensorFlow, hence the changed features.json."""
    floats = RNG.normal(size=(2, 4, 3, 1)).astype(np.float32)
    features = {"image": tfds.features.Image(shape=(4, 3, 4)), "rate": tfds.features.Scalar(np.float32)}
    train = [{"image": png(image.view(np.uint8)), "rate": 0.0} for image in floats]
    folder = write(tmp_path / "eyes" / "1.0.0", features, train, [])
    about = json.loads((folder / "features.json").read_text())
    about["featuresDict"]["features"]["image"]["image"] |= {
        "dtype": "float32",
        "shape": {"dimensions": ["4", "3", "1"]},
    }
    (folder / "features.json").write_text(json.dumps(about))
    data = opened(folder, target=("rate",))
    np.testing.assert_array_equal(data.train.read(1), floats[1])


BAD = {
    "not set": ({"root": None}, ["neither data.root nor data.name", "--set data.root=FOLDER"]),
    "split": ({"train": "val"}, ["no split 'val'", "train (11), test (3)"]),
    "test split": ({"test": "tset"}, ["no split 'tset'", "train (11), test (3)"]),
    "image": (
        {"image": "img"},
        ["data.image: no feature 'img'", "image (Image)", "seen/subject (Scalar)", "rh (Scalar)"],
    ),
    "image kind": ({"image": "rh"}, ["data.image: expected an image", "found 'rh'"]),
    "target": ({"target": ("lh", "mh")}, ["data.target: no feature 'mh'"]),
    "target kind": ({"target": ("name",)}, ["data.target: expected numbers", "found 'name'"]),
    "target shape": ({"target": ("boxes",)}, ["equally many in each record", "found 'boxes'"]),
    "label kind": ({"label": "rh"}, ["data.label: expected a ClassLabel, found 'rh'"]),
    "ids": ({"ids": "rh"}, ["data.ids: expected a text or a whole number"]),
    "same ids": ({"ids": "seen/subject"}, ["2 ids occur more than once (0, 1)"]),
    "column": ({"columns": ("subject",)}, ["data.columns: no feature 'subject'"]),
    "several": ({"image": "img", "target": ("mh",)}, ["no feature 'img'", "no feature 'mh'"]),
    "no class": ({"train": "test"}, ["3 records have no class in 'label' (test-000000"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_fields_are_explained(source: Path, case: str) -> None:
    fields, words = BAD[case]
    with pytest.raises(UserError) as error:
        Tfds(**{"root": str(source), **fields}).open()
    assert all(word in str(error.value) for word in words), error.value
    assert "\n" not in str(error.value)


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return spoil


def flip(folder: Path) -> None:
    shard = folder / "brains-train.array_record-00001"
    content = bytearray(shard.read_bytes())
    content[content.index(b"bild-5-")] ^= 1
    shard.write_bytes(content)


SPOILT = {
    "no dataset": (lambda f: (f / "dataset_info.json").unlink(), ["holds no prepared TensorFlow dataset"]),
    "not JSON": (lambda f: (f / "dataset_info.json").write_text("{"), ["cannot be read as a TensorFlow dataset"]),
    "no features": (lambda f: (f / "features.json").unlink(), ["cannot be read as a TensorFlow dataset"]),
    "tfrecord": (
        edit("dataset_info.json", '"array_record"', '"tfrecord"'),
        ["is stored as tfrecord", "cannot be read at random", "tfds convert_format", "--out_file_format=array_record"],
    ),
    "no shard": (
        lambda f: (f / "brains-train.array_record-00001").unlink(),
        ["train: records 0 to 10 cannot be read", "missing or damaged"],
    ),
    "flipped bit": (flip, ["train: records 0 to 10 cannot be read", "missing or damaged"]),
    "nothing to predict": (
        lambda f: edit("dataset_info.json", '"featureKey": "label"', '"featureKey": "gone"')(f),
        ["does not say what is to be predicted", "data.target or data.label", "label (ClassLabel)"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SPOILT)
def test_bad_datasets_are_explained(source: Path, tmp_path: Path, case: str) -> None:
    spoil, words = SPOILT[case]
    folder = shutil.copytree(source, tmp_path / "brains" / "1.0.0")
    spoil(folder)
    with pytest.raises(UserError) as error:
        opened(folder)
    assert all(word in str(error.value) for word in words), error.value
    assert "\n" not in str(error.value)


def test_a_folder_above_names_the_datasets_below(source: Path) -> None:
    with pytest.raises(UserError, match=f"those below it: {source}"):
        opened(source.parent)
    with pytest.raises(UserError, match=f"those below it: {source}"):
        opened(source.parents[1])
    with pytest.raises(UserError, match="found nothing at"):
        opened(source / "gone")


def test_an_unknown_name_is_explained(source: Path) -> None:
    data_dir = str(source.parents[1])
    with pytest.raises(
        UserError, match=rf"no dataset 'brain'; nearest: brains, .*; prepared in {data_dir}: brains"
    ):
        Tfds(name="brain", data_dir=data_dir).open()
    with pytest.raises(UserError, match="expected a name or a root"):
        Tfds(name="brains", root=data_dir)


def test_a_dataset_that_cannot_be_prepared_here_is_explained(tmp_path: Path, monkeypatch) -> None:
    def fails(self: object, **_: object) -> None:
        raise ImportError("No module named 'tensorflow'")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fails)
    with pytest.raises(UserError) as error:
        Tfds(name="mnist", data_dir=str(tmp_path)).open()
    for words in (
        "mnist is not prepared in",
        "No module named",
        "tfds build mnist --file_format=array_record",
    ):
        assert words in str(error.value)


def test_a_missing_package_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(UserError, match=r"pip install 'jaxlab\[tfds\]'"):
        Tfds(name="mnist").open()


ORDER = RNG.permutation(np.arange(5 * COUNT)) % COUNT


def test_many_threads_read_the_same(source: Path) -> None:
    train = opened(source).train
    with ThreadPoolExecutor(8) as pool:
        for k, image in zip(ORDER, pool.map(train.read, ORDER.tolist()), strict=True):
            np.testing.assert_array_equal(image, IMAGES[k])
    order = grain.MapDataset.source(ORDER).map(train.read)
    for k, image in zip(ORDER, order.to_iter_dataset(grain.ReadOptions(num_threads=8)), strict=True):
        np.testing.assert_array_equal(image, IMAGES[k])


@pytest.mark.slow
def test_other_processes_read_the_same(source: Path) -> None:
    """Grain's workers get the reader pickled and open the files for themselves."""
    train = opened(source).train
    train.read(0)  # a file that is open here already
    order = grain.MapDataset.source(ORDER).map(train.read).to_iter_dataset()
    flags.FLAGS.mark_as_parsed()  # Grain's processes ask for their flags, which an absl program parses
    options = grain.multiprocessing.MultiprocessingOptions(num_workers=1)
    iterator = iter(order.mp_prefetch(options))
    found = list(iterator)
    iterator.close()
    np.testing.assert_array_equal(found, IMAGES[ORDER])

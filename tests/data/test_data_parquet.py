"""Parquet tables, written by pandas or pyarrow: the same samples as their CSV, and each fault with its message."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet
from rich.console import Console

import jaxlab
from jaxlab.core.types import UserError
from jaxlab.data import Images, KaggleTable, RandomSplit
from jaxlab.data.source import Opened, fingerprint
from jaxlab.experiment import Experiment, Training
from jaxlab.models import ShallowCNN
from jaxlab.runs import api

TABLE = pd.DataFrame({"image_id": [f"{k:04d}" for k in range(4)], "n0": [1.5, 2, -1, 0], "n1": [3, 1, 4, 1]})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for split in ("train", "test"):
        (folder / split).mkdir(parents=True)
        for k in range(4):
            Image.new("RGB", (16, 16), (60 * k, 0, 0)).save(folder / split / f"{k:04d}.png")
    return folder


def opened(folder: Path, table: object, **fields) -> Opened:
    if isinstance(table, pd.DataFrame):
        table.to_parquet(folder / "train.parquet")
    else:
        parquet.write_table(table, folder / "train.parquet")
    return KaggleTable(root=str(folder), **fields).open()


def test_the_same_table_as_csv_and_parquet_is_the_same_data(folder: Path) -> None:
    found = opened(folder, TABLE)
    assert found.train.ids.tolist() == ["0000", "0001", "0002", "0003"]
    np.testing.assert_array_equal(found.train.target, np.float32([[1.5, 3], [2, 1], [-1, 4], [0, 1]]))
    TABLE.to_csv(folder / "train.csv", index=False)
    (folder / "train.parquet").rename(folder / "other.parquet")
    assert fingerprint(KaggleTable(root=str(folder)).open()) == fingerprint(found)
    named = KaggleTable(root=str(folder), train_csv="other.parquet").open()
    assert fingerprint(named) == fingerprint(found)


def test_whole_numbers_are_read_as_their_digits(folder: Path) -> None:
    for k in range(4):
        (folder / "train" / f"{k:04d}.png").rename(folder / "train" / f"{k + 8}.png")
    table = pd.DataFrame({"image_id": np.arange(8, 12), "digit": np.int8([10, 9, 9, 10]), "m": [1, 1, 2, 2]})
    found = opened(folder, table, label="digit", columns=("m",))
    assert found.train.ids.tolist() == ["8", "9", "10", "11"]
    assert (found.targets, found.train.label.tolist()) == (("9", "10"), [1, 0, 0, 1])
    assert found.train.columns["m"].tolist() == ["1", "1", "2", "2"]


@pytest.mark.parametrize("kind", ["string", "large_string", "dictionary"])
def test_names_of_any_text_type_are_classes(folder: Path, kind: str) -> None:
    names = pa.array(["dog", "cat", "dog", "cat"])
    names = names.dictionary_encode() if kind == "dictionary" else names.cast(kind)
    found = opened(folder, pa.table({"image_id": TABLE["image_id"], "kind": names}))
    assert (found.targets, found.train.label.tolist()) == (("cat", "dog"), [1, 0, 1, 0])


def test_numbers_of_any_type_are_targets_and_an_index_is_none(folder: Path) -> None:
    numbers = {
        "a": pa.array([1.5, 2, 3, 4], pa.float32()),
        "b": pa.array([1, 2, 3, 255], pa.uint8()),
        "c": pa.array(["1.5", "2.5", "3", "4"]).cast(pa.decimal128(6, 2)),
        "d.e": pa.array([1, 2, 3, 4], pa.int16()),
    }
    found = opened(folder, pa.table({"image_id": TABLE["image_id"], **numbers}))
    assert found.targets == ("a", "b", "c", "d.e")
    np.testing.assert_array_equal(found.train.target[:, 2], np.float32([1.5, 2.5, 3, 4]))
    assert opened(folder, TABLE.set_index(np.array([3, 1, 2, 0]))).targets == ("n0", "n1")


BAD = {
    "float ids": (TABLE.assign(image_id=[0.0, 1.0, 2.0, None]), ["'image_id' holds double", "whole numbers"]),
    "missing id": (TABLE.assign(image_id=["0000", None, "0002", "0003"]), ["1 empty ids", "row 2"]),
    "twice": (
        TABLE.assign(image_id=["0000", "0000", "0002", "0003"]),
        ["1 ids occur more than once", "0000"],
    ),
    "missing number": (TABLE.assign(n1=[1, None, 3, 4]), ["1 target", "0001, column 'n1'"]),
    "lists": (
        TABLE.assign(n1=[[1.0], [2.0], [3.0], [4.0]]),
        ["'n1' holds list<", "expected numbers or text"],
    ),
    "dates": (TABLE.assign(n1=pd.date_range("2020", periods=4)), ["'n1' holds timestamp", "numbers or text"]),
    "no rows": (TABLE.iloc[:0], ["train.parquet", "at least one row"]),
    "only missing ids": (TABLE.assign(image_id=None), ["4 empty ids"]),
    "only missing targets": (TABLE.assign(n1=None), ["'n1'", "4 "]),
    "no id column": (TABLE, ["no id column 'name'", "image_id"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables_are_explained(folder: Path, case: str) -> None:
    table, words = BAD[case]
    with pytest.raises(UserError) as error:
        opened(folder, table, id_column="name" if case == "no id column" else "image_id")
    assert all(word in str(error.value) for word in words), error.value
    assert "\n" not in str(error.value)


def test_what_is_no_parquet_file_is_named(folder: Path) -> None:
    (folder / "train.parquet").write_text("image_id,n0\n0000,1\n")
    with pytest.raises(UserError, match=r"train\.parquet: cannot be read as Parquet"):
        KaggleTable(root=str(folder)).open()


@pytest.mark.slow
def test_a_parquet_table_is_trained_on_and_predicted(folder: Path, tmp_path: Path) -> None:
    TABLE.to_parquet(folder / "train.parquet")
    experiment = Experiment(
        data=KaggleTable(root=str(folder)),
        images=Images(size=(16, 16)),
        split=RandomSplit(validation=0.25),
        model=ShallowCNN(channels=(4,), kernel_sizes=(3,)),
        training=Training(steps=2, batch_size=2, parallel="single"),
    )
    run = api.train(experiment, tmp_path / "run", console=Console(file=io.StringIO()))
    predicted = jaxlab.load(run).predict_split("test")
    assert predicted.ids.tolist() == ["0000", "0001", "0002", "0003"]
    assert predicted.targets.tolist() == ["n0", "n1"]


@pytest.mark.parametrize("place", ["footer", "pages"])
def test_a_damaged_file_is_one_message(folder, place):
    """The kind: a table whose header is read and whose columns cannot be, and the reverse."""
    opened(folder, TABLE)
    path = folder / "train.parquet"
    content = bytearray(path.read_bytes())
    start = 4 if place == "pages" else len(content) - 200
    content[start : start + 60] = b"\xff" * 60
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"train\.parquet: cannot be read as Parquet"):
        KaggleTable(root=str(folder)).open()

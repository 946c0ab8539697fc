"""Kaggle folders: what is read, and each kind of bad input with the message that it gets."""

import hashlib
import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxlab.core.types import UserError
from jaxlab.data.images import Images, decode
from jaxlab.data.source import fingerprint
from jaxlab.data.sources.table import KaggleTable

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def image(value: int, size: int = 8) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(value).integers(0, 255, (size, size, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "png")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train").mkdir()
    (tmp_path / "test").mkdir()
    for k in range(4):
        (tmp_path / "train" / f"{k:04d}.png").write_bytes(image(k))
    for name in ("NA", "0011"):
        (tmp_path / "test" / f"{name}.png").write_bytes(image(7))
    write(tmp_path, "train.csv", "image_id,n0,n1", "0000,1,2.5", "0001,3,4", "0002,-1,1e2", "0003,0,7")
    write(tmp_path, "sample_submission.csv", "image_id,n0,n1", "NA,0,0", "0011,0,0")
    return tmp_path


def write(folder: Path, name: str, *lines: str) -> None:
    (folder / name).write_text("\n".join(lines) + "\n")


def opened(folder: Path, **fields):
    return KaggleTable(root=str(folder), **fields).open()


def test_regression_table(folder: Path) -> None:
    data = opened(folder)
    assert data.kind == "regression"
    assert data.targets == ("n0", "n1")
    assert data.train.ids.tolist() == ["0000", "0001", "0002", "0003"]
    np.testing.assert_array_equal(data.train.target, np.float32([[1, 2.5], [3, 4], [-1, 100], [0, 7]]))
    assert data.test is not None
    assert data.test.ids.tolist() == ["NA", "0011"]
    assert data.sample_submission == folder / "sample_submission.csv"
    with Image.open(folder / "train" / "0002.png") as expected:
        np.testing.assert_array_equal(data.train.read(2), np.asarray(expected))
    assert data.train.checksum(1) == hashlib.sha256((folder / "train" / "0001.png").read_bytes()).digest()


def test_chosen_targets_and_other_columns(folder: Path) -> None:
    write(folder, "train.csv", "n0,who,image_id,n1", "1,m1,0000,2", "3,m2,0001,4")
    data = opened(folder, columns=("who",))
    assert data.targets == ("n0", "n1")
    assert data.train.columns["who"].tolist() == ["m1", "m2"]
    assert opened(folder, targets=("n1",)).train.target.tolist() == [[2], [4]]


@pytest.mark.parametrize("fields", [{}, {"label": "kind"}])
def test_class_names_make_it_a_classification(folder: Path, fields: dict) -> None:
    write(folder, "train.csv", "image_id,kind", "0000,dog", "0001,cat", "0002,dog")
    data = opened(folder, **fields)
    assert (data.kind, data.targets) == ("classification", ("cat", "dog"))
    assert data.train.label.dtype == np.int32
    assert data.train.label.tolist() == [1, 0, 1]
    assert data.train.target is None


def test_numeric_classes_are_sorted_by_value(folder: Path) -> None:
    write(folder, "train.csv", "image_id,digit", "0000,10", "0001,9", "0002,10")
    data = opened(folder, label="digit")
    assert (data.targets, data.train.label.tolist()) == (("9", "10"), [1, 0, 1])


def test_ids_may_be_full_names_and_images_lie_in_one_folder(folder: Path) -> None:
    (folder / "train").rename(folder / "images")
    for name in ("NA", "0011"):
        (folder / "test" / f"{name}.png").rename(folder / "images" / f"{name}.JPG")
    (folder / "test").rmdir()
    write(folder, "train.csv", "image_id,n0", "0000.png,1", "0001.png,2")
    write(folder, "sample_submission.csv", "image_id,n0", "NA.JPG,0", "0011.JPG,0")
    data = opened(folder)
    assert data.train.read(1).shape == (8, 8, 3)
    assert data.test.ids.tolist() == ["NA.JPG", "0011.JPG"]


def test_without_a_sample_every_test_image_is_predicted(folder: Path) -> None:
    (folder / "sample_submission.csv").unlink()
    data = opened(folder)
    assert data.test.ids.tolist() == ["0011", "NA"]
    assert data.sample_submission is None


def test_test_images_in_folders_are_predicted_where_there_are_no_others(folder: Path) -> None:
    (folder / "sample_submission.csv").unlink()
    for who, name in (("m2", "NA"), ("m1", "0011")):
        (folder / "test" / who).mkdir()
        (folder / "test" / f"{name}.png").rename(folder / "test" / who / f"{name}.png")
    test = opened(folder).test
    assert test.ids.tolist() == ["m1/0011", "m2/NA"]
    assert test.checksum(0) == hashlib.sha256((folder / "test/m1/0011.png").read_bytes()).digest()
    (folder / "test" / "x.png").write_bytes(image(1))
    data = opened(folder)
    assert data.test.ids.tolist() == ["x"]
    assert "test: 2 images in folders of it left out, as it has images itself (m1/0011.png" in data.notes[0]


def test_test_images_of_another_format_are_told(folder: Path) -> None:
    assert opened(folder).notes == ()
    (folder / "sample_submission.csv").unlink()
    (folder / "test" / "NA.png").rename(folder / "test" / "NA.avif")
    (note,) = opened(folder).notes
    assert f"{folder / 'test'}: 1 file is left out" in note
    assert "(NA.avif)" in note


def test_a_class_for_nearly_each_row_is_told(folder: Path) -> None:
    """As where a column of remarks, or of numbers with their unit, is the only one."""
    write(folder, "train.csv", "image_id,size", "0000,3 cm", "0001,4 cm", "0002,5 cm", "0003,5 cm")
    (note,) = opened(folder).notes
    assert "holds 3 different texts in 4 rows ('3 cm', '4 cm', '5 cm')" in note
    assert opened(folder, label="size").notes == ()
    write(folder, "train.csv", "image_id,size", "0000,cat", "0001,dog", "0002,cat", "0003,dog")
    assert opened(folder).notes == ()
    write(folder, "train.csv", "image_id,size", '0000,"1,5"', '0001,"2,5"')
    assert opened(folder, label="size").targets == ("1,5", "2,5"), "asked for"


def test_a_sample_with_a_row_for_each_image_and_target_asks_for_all_test_images(folder: Path) -> None:
    rows = [f"{name}_{target},0" for target in ("n0", "n1") for name in ("NA", "0011")]
    write(folder, "sample_submission.csv", "image_id,value", *rows)
    data = opened(folder)
    assert data.test is not None
    assert data.test.ids.tolist() == ["0011", "NA"]
    test, sample = KaggleTable(root=str(folder)).open_test()
    assert test is not None
    assert test.ids.tolist() == ["0011", "NA"]
    assert sample == folder / "sample_submission.csv"
    write(folder, "sample_submission.csv", "row_id,value", *rows)
    assert opened(folder, id_column="image_id").test.ids.tolist() == ["0011", "NA"]
    write(folder, "sample_submission.csv", "image_id,value", "x_n0,0", "0011_n0,0")
    with pytest.raises(UserError, match=r"no image for 2 of 2 ids of .*sample_submission\.csv"):
        opened(folder)


@pytest.mark.parametrize("ids", [("00110", "NA1"), ("0011.gif", "NA.gif")])
def test_ids_of_other_images_are_no_images_and_targets(folder: Path, ids: tuple[str, str]) -> None:
    write(folder, "sample_submission.csv", "image_id,a,b", *(f"{name},0,0" for name in ids))
    with pytest.raises(UserError, match=r"no image for 2 of 2 ids of .*sample_submission\.csv"):
        opened(folder)


def test_ids_may_be_paths_into_folders(folder: Path) -> None:
    for who in ("m1", "m2"):
        (folder / "train" / who).mkdir()
        (folder / "train" / who / "0000.png").write_bytes(image(ord(who[1])))
    write(folder, "train.csv", "image_id,n0", "m1/0000,1", "0000,2", "m2/0000.png,3")
    data = opened(folder)
    for k, name in enumerate(("m1/0000.png", "0000.png", "m2/0000.png")):
        assert data.train.checksum(k) == hashlib.sha256((folder / "train" / name).read_bytes()).digest()
    write(folder, "train.csv", "image_id,n0", "m1/0000,1", "m3/0000,2")
    with pytest.raises(UserError, match=r"no image for 1 of 2 ids .*\(m3/0000\)"):
        opened(folder)


OPENED: list[str] = []


def watch(event: str, arguments: tuple) -> None:
    if event == "open":
        OPENED.append(Path(str(arguments[0])).name)


def test_the_solution_is_never_opened(folder: Path) -> None:
    """Python's own audit events tell of every file that is opened. A hook cannot be taken off again."""
    write(folder, "solution.csv", "image_id,n0,n1", "NA,1,1", "0011,2,2")
    OPENED.clear()
    sys.addaudithook(watch)
    data = opened(folder)
    fingerprint(data)
    decode(data.train, np.arange(4), Images())
    decode(data.test, np.arange(2), Images())
    assert {"train.csv", "sample_submission.csv", "0000.png", "NA.png"} <= set(OPENED)
    assert "solution.csv" not in OPENED


def into_folder(file: Path) -> None:
    file.rename(file.parent / "cat" / file.name)


def class_folders(folder: Path, place: Path) -> None:
    (folder / "train.csv").unlink()
    for name in ("cat", "dog"):
        (place / name).mkdir()
        (place / name / "0.png").write_bytes(image(3))


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text((folder / name).read_text().replace(old, new))


BAD = {
    "no folder": (lambda f: f.rename(f.with_name("gone")), ["data.root", "nothing at"]),
    "no table": (lambda f: (f / "train.csv").unlink(), ["train.csv", "no such file"]),
    "empty table": (lambda f: write(f, "train.csv"), ["train.csv", "header"]),
    "no rows": (lambda f: write(f, "train.csv", "image_id,n0"), ["train.csv", "at least one row"]),
    "no id column": (
        edit("train.csv", "image_id", "name"),
        ["train.csv", "id column 'image_id'", "name", "data.id_column"],
    ),
    "duplicate ids": (edit("train.csv", "0001", "0000"), ["1 ids occur more than once", "0000"]),
    "empty id": (edit("train.csv", "0001,", ","), ["1 empty ids", "line 3"]),
    "NaN": (edit("train.csv", "2.5", "NaN"), ["1 target", "0000", "'n1'", "NaN"]),
    "infinite": (edit("train.csv", "2.5", "1e99"), ["1 target", "0000", "'n1'", "1e+99"]),
    "text": (edit("train.csv", "1e2", "abc"), ["1 target", "0002", "'n1'", "'abc'"]),
    "empty cell": (edit("train.csv", "3,4", "3,"), ["0001", "'n1'", "empty"]),
    "short row": (edit("train.csv", "3,4", "3"), ["0001", "'n1'", "empty"]),
    "long row": (edit("train.csv", "3,4", "3,4,5"), ["train.csv", "3 columns"]),
    "long rows": (
        lambda f: write(f, "train.csv", "image_id,n0,n1", "0000,1,2,", "0001,1,2,"),
        ["train.csv", "4 cells", "3 columns"],
    ),
    "twice the column": (edit("train.csv", "n1", "n0"), ["n0", "more than once"]),
    "absent image": (lambda f: (f / "train" / "0003.png").unlink(), ["no image for 1 of 4", "0003"]),
    "absent test image": (lambda f: (f / "test" / "NA.png").unlink(), ["no image for 1 of 2", "NA"]),
    "no image folder": (lambda f: (f / "train").rename(f / "elsewhere"), ["'train'", "neither"]),
    "two files": (lambda f: (f / "train" / "0000.jpg").write_bytes(b""), ["0000.jpg", "0000.png"]),
    "sample without ids": (edit("sample_submission.csv", "image_id", "id"), ["train.csv", "'id'"]),
    "sample twice": (edit("sample_submission.csv", "NA", "0011"), ["sample_submission.csv", "0011"]),
    "another table": (
        lambda f: (f / "train.csv").rename(f / "labels.csv"),
        ["train.csv: no such file", "there is labels.csv: data.train_csv"],
    ),
    "classes": (lambda f: class_folders(f, f), ["folders of images (cat, dog)", "data=ImageFolders()"]),
    "classes to train on": (lambda f: class_folders(f, f / "train"), ["(cat, dog)", "data=ImageFolders()"]),
    "decimal comma": (
        lambda f: write(f, "train.csv", "image_id,rate", '0000,"1,5"', '0001,"-2,25"'),
        ["column 'rate'", "('1,5', '-2,25')", "decimal=','", "--set data.label=rate"],
    ),
    "thousands": (
        lambda f: write(f, "train.csv", "image_id,rate", '0000,"1,000.5"', '0001,"12,345"'),
        ["column 'rate'", "'1,000.5'", "thousands=','"],
    ),
    "percent": (
        lambda f: write(f, "train.csv", "image_id,rate", "0000,10%", "0001,7.5 %"),
        ["column 'rate'", "('10%', '7.5 %')"],
    ),
    "another format": (
        lambda f: (f / "train" / "0003.png").rename(f / "train" / "0003.heic"),
        ["no image for 1 of 4", "train: 1 file is left out", "(0003.heic)", "save them as .png or .jpg"],
    ),
    "ids in another column": (
        lambda f: [
            (f / "sample_submission.csv").unlink(),
            write(f, "train.csv", "kind,file,n0", "cat,0000,1", "dog,0001.png,2"),
        ],
        [
            "no image for 2 of 2 ids",
            "column 'file' names images, and 'kind' none",
            "--set data.id_column=file",
        ],
    ),
    "images in folders": (
        lambda f: [(f / "train" / "cat").mkdir(), *map(into_folder, sorted((f / "train").glob("*.png")))],
        ["no image for 4 of 4", "images lie in its folders (cat)", "ids begin: cat/0000"],
    ),
    "two test files": (
        lambda f: [(f / "sample_submission.csv").unlink(), (f / "test" / "NA.jpg").write_bytes(image(8))],
        ["1 name of several images", "under one id", "NA.jpg", "NA.png", "sample_submission.csv"],
    ),
    "not text": (lambda f: (f / "train.csv").write_bytes(b"\xff\xfe\x00"), ["train.csv", "UTF-8"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables_are_explained(folder: Path, case: str) -> None:
    spoil, words = BAD[case]
    spoil(folder)
    with pytest.raises(UserError) as error:
        opened(folder)
    assert all(word in str(error.value) for word in words), error.value
    assert "\n" not in str(error.value)


def test_all_problems_come_at_once(folder: Path) -> None:
    write(folder, "train.csv", "image_id,n0", "0000,x", "0000,1", ",1", "9999,1")
    (folder / "test" / "0011.png").unlink()
    with pytest.raises(UserError) as error:
        opened(folder)
    for words in ("empty ids", "more than once", "not finite numbers", "9999", "0011"):
        assert words in str(error.value)


def test_an_empty_class_is_explained(folder: Path) -> None:
    write(folder, "train.csv", "image_id,kind", "0000,dog", "0001,")
    with pytest.raises(UserError, match=r"1 rows have no class in column 'kind' \(ids 0001\)"):
        opened(folder)


def test_no_root_says_how_to_set_it() -> None:
    with pytest.raises(UserError, match=r"--set data\.root"):
        KaggleTable().open()


def test_targets_and_label_exclude_each_other() -> None:
    with pytest.raises(UserError, match="found both"):
        KaggleTable(targets=("a",), label="b")


def test_fingerprint_changes_with_everything_it_names(folder: Path) -> None:
    prints = [fingerprint(opened(folder)), fingerprint(opened(folder))]
    assert prints[0] == prints[1]
    for old, new in (("2.5", "2.6"), ("n1", "n9")):
        for name in ("train.csv", "sample_submission.csv"):
            edit(name, old, new)(folder)
        prints.append(fingerprint(opened(folder)))
    (folder / "train" / "0002.png").write_bytes(image(99))
    prints.append(fingerprint(opened(folder)))
    assert len(set(prints[1:])) == 4


@pytest.mark.parametrize(
    ("name", "train", "test", "neurons"),
    [("v4-190929-kaggle", 900, 300, 33), ("v4-210325-kaggle", 440, 200, 50)],
)
def test_real_recordings(name: str, train: int, test: int, neurons: int) -> None:
    if not (SHARED / name).is_dir():
        pytest.skip(f"{SHARED / name} is not here")
    data = opened(SHARED / name)
    assert data.train.target.shape == (train, neurons)
    assert len(data.test) == test
    images = decode(data.train, np.arange(20), Images(size=(64, 64)))
    assert images.shape == (20, 64, 64, 3)
    assert images.std() > 20

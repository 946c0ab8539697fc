"""JSON files of another shape: one message each, that names the file, whatever keeps it from being read."""

import errno
from pathlib import Path

import pytest
from pydantic import BaseModel

from jaxlab.core.files import read_json, write_json, writing
from jaxlab.core.types import UserError


class Form(BaseModel):
    step: int
    best: dict[str, float] | None = None


# The kind: what a reader of JSON may meet, in any of our files.
MET = {
    "": "is not whole JSON",
    "{": "is not whole JSON",
    '{"step": 1}\0': "is not whole JSON",
    "\udcff": "is not whole JSON",
    "[" * 100_000: "is not JSON of ours: it nests too deeply",
    '{"a":' * 100_000: "is not JSON of ours: it nests too deeply",
    '{"step": ' + "9" * 5000 + "}": "is not whole JSON",
    "[1]": r"expected a JSON object, found \[1\]",
    "null": "expected a JSON object, found None",
    "{}": "step is missing",
    '{"step": true}': "step: it should be a valid integer, found True",
    '{"step": 1.5}': "step: it should be",
    '{"step": 1, "best": {"value": []}}': r"best.value: it should be a valid number, found \[\]",
}


@pytest.mark.parametrize("text", MET, ids=range(len(MET)))
def test_what_is_no_object_of_the_form_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "meta.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match=f"meta.json:? {MET[text]}") as error:
        read_json(path, Form)
    assert len(str(error.value).splitlines()) == 1


def folder(path: Path) -> None:
    path.mkdir()


def loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "words"), [(folder, "Is a directory"), (loop, "Too many levels"), (None, "missing")]
)
def test_what_is_no_file_likewise(tmp_path: Path, make, words: str) -> None:
    path = tmp_path / "meta.json"
    if make:
        make(path)
    with pytest.raises(UserError, match=words):
        read_json(path)


def test_more_than_the_form_says_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "meta.json"
    write_json(path, {"step": 3, "name": "Größe", "best": None})
    assert read_json(path, Form) == {"step": 3, "name": "Größe", "best": None}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EFBIG])
def test_what_the_disk_refuses_leaves_the_file_before(tmp_path: Path, monkeypatch, number: int) -> None:
    path = tmp_path / "config.json"
    write_json(path, {"step": 1})

    def refused(_):
        raise OSError(number, "refused")

    monkeypatch.setattr("os.fsync", refused)
    with (
        pytest.raises(UserError, match=r"config.json could not be written \(refused\); later"),
        writing(path, "later"),
    ):
        write_json(path, {"step": 2})
    assert read_json(path) == {"step": 1}
    assert list(tmp_path.iterdir()) == [path]

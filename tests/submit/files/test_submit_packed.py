"""Submissions that are packed, have blank lines, or are damaged so that they read like something else."""

import gzip
import zipfile
from pathlib import Path

import pytest

from submit import check
from submit.files import zips

SAMPLE = "image_id,n0,n1\n0001,0.0,0.0\nNA,0.0,0.0\nc,0.0,0.0\n"
GOOD = "image_id,n0,n1\n0001,1.5,2\nNA,-3e-1,4\nc,5,6\n"


@pytest.fixture
def sample(tmp_path):
    (tmp_path / "sample.csv").write_text(SAMPLE)
    return tmp_path / "sample.csv"


def packed(text: str, path: Path) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("inside.csv", text)
            archive.writestr("__MACOSX/._inside.csv", "")
    return path


@pytest.mark.parametrize("name", ["x.csv.gz", "x.zip"])
def test_a_packed_csv_is_checked_as_what_it_holds(tmp_path, name):
    sample, given = packed(SAMPLE, tmp_path / f"sample-{name}"), packed(GOOD, tmp_path / name)
    assert check(given, sample) == []
    assert check(packed(GOOD.replace("c,5", "d,5"), given), sample) == [
        "1 ids missing from the submission: 'c'",
        "1 ids in the submission that are not expected: 'd'",
    ]
    given.write_bytes(given.read_bytes()[:-12])
    (fault,) = check(given, sample)
    assert f"{name}: the file is truncated, damaged or cannot be unpacked" in fault


def test_a_csv_that_unpacks_to_far_more_than_it_is_is_not_read(sample, tmp_path, monkeypatch):
    """The packed size of a million rows alike is a thousandth; a gzip says nowhere how much it holds."""
    monkeypatch.setattr(zips, "_LARGE", 2**20)
    for name in ("x.csv.gz", "x.zip"):
        held = packed(SAMPLE + "d,1.0,2.0\n" * 2**18, tmp_path / name)
        (fault,) = check(held, sample)
        assert f"{name}: its {held.stat().st_size:,} bytes would unpack to " in fault
        assert fault.endswith("Where it is yours, unpack it first.")


@pytest.mark.parametrize("separator", [",", ";"])
def test_a_first_line_for_excel_alone_is_named(sample, tmp_path, separator):
    (tmp_path / "x.csv").write_text(f"sep={separator}\n" + GOOD.replace(",", separator))
    (fault,) = check(tmp_path / "x.csv", sample)
    assert f"its first line is 'sep={separator}', which is for Excel alone; remove it" in fault


def test_a_zip_of_two_csvs_is_named(sample, tmp_path):
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", GOOD)
        archive.writestr("b.csv", GOOD)
    (fault,) = check(tmp_path / "two.zip", sample)
    assert fault.endswith("two.zip: expected a zip of one CSV, found 'a.csv', 'b.csv'.")


def test_an_encrypted_zip_is_named(sample, tmp_path):
    """Both headers of the file inside carry the flag: APPNOTE.TXT 4.4.4, bit 0."""
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("inside.csv", GOOD)
    content = bytearray((tmp_path / "x.zip").read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + flags] |= 1
    (tmp_path / "x.zip").write_bytes(content)
    (fault,) = check(tmp_path / "x.zip", sample)
    assert "x.zip: the file cannot be unpacked" in fault
    assert "encrypted" in fault


def test_another_separator_is_named_where_the_id_column_has_line_breaks(tmp_path):
    for name, separator in (("sample.csv", ","), ("x.csv", ";")):
        lines = ['"image\r\rid",n0,n1', "0001,1,2", ""]
        (tmp_path / name).write_bytes("\r\n".join(lines).replace(",", separator).encode())
    (fault,) = check(tmp_path / "x.csv", tmp_path / "sample.csv")
    assert "separated by ';', expected ','" in fault


def test_blank_lines_are_no_rows(sample, tmp_path):
    (tmp_path / "x.csv").write_text(" \n\n" + GOOD.replace("c,5,6\n", "\n  \nc,5,6\n \n"))
    assert check(tmp_path / "x.csv", sample) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace("c,5", "c\0,5"), "row 4 has an id with a NUL, 'c\\x00'; is the file damaged?"),
        (GOOD + "\0\0\0", "row 5 has an id with a NUL"),
        (GOOD.replace("5,6", "5\0,6"), "row 'c', column 'n0' ('5\\x00')"),
        (GOOD.replace("1.5", "1.5\x1f2"), "row '0001', column 'n0' ('1.5\\x1f2')"),
        (GOOD.replace("1.5", '"' + "9 " * 5_000 + '"'), "column 'n0' ('9 9 9 "),
        (GOOD.replace("NA,", '"' + "NA," * 300 + '",'), "row 3 has an id of 900 characters, 'NA,NA,"),
    ],
)
def test_damage_that_reads_like_something_else_is_named(sample, tmp_path, text, words):
    """numpy drops a NUL at the end of a text, and gives each of a million ids the room of the longest."""
    (tmp_path / "x.csv").write_text(text)
    (fault,) = check(tmp_path / "x.csv", sample)
    assert words in fault
    assert len(fault) < 500

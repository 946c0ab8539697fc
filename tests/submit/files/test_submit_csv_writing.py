"""Lines of a CSV, read back by Python's csv module and float()."""

import csv
import io

import numpy as np
import pytest

from submit.files.csv_writing import header_line, row_lines

ODD = ["0001", "a,b", 'say "x"', "ü", "", " p ", "x\ny", "x\ry", "NA", "'q'", "𝄞"]


def read(lines: bytes | memoryview) -> list[list[str]]:
    return list(csv.reader(io.StringIO(bytes(lines).decode(), newline="")))


def test_every_kind_of_float32_reads_back_bit_for_bit():
    rng = np.random.default_rng(0)
    any_bits = rng.integers(0, 2**32, 50_000, dtype=np.uint32).view(np.float32)
    powers = np.concatenate([2.0 ** np.arange(-149, 128), 10.0 ** np.arange(-44, 39)]).astype(np.float32)
    values = np.concatenate([any_bits[np.isfinite(any_bits)], powers, -powers, np.float32([0.0, -0.0])])
    ids = np.array([str(k) for k in range(len(values))])
    back = np.array([float(cell) for _, cell in read(row_lines(ids, values[:, None]))]).astype(np.float32)
    np.testing.assert_array_equal(back.view(np.uint32), values.view(np.uint32))


@pytest.mark.parametrize("scale", [1e-6, 0.01, 1.0, 300.0, 1e7])
def test_no_more_digits_than_numpy_needs(scale):
    values = (np.random.default_rng(1).standard_normal((1, 5_000)) * scale).astype(np.float32)

    def digits(text: str) -> int:
        return len(text.split("e")[0].replace(".", "").strip("-0"))

    found = read(row_lines(np.array(["x"]), values))[0][1:]
    assert [digits(text) for text in found] == [digits(str(value).removesuffix(".0")) for value in values[0]]


def test_quotes_only_where_they_are_needed():
    ids = np.array(ODD)
    cells = np.arange(2 * len(ids), dtype=np.float32).reshape(-1, 2)
    lines = bytes(row_lines(ids, cells))
    assert [row[0] for row in read(lines)] == ODD
    assert lines.startswith(b'0001,0,1\n"a,b",2,3\n"say ""x""",4,5\n\xc3\xbc,6,7\n,8,9\n p ,10,11\n')
    assert bytes(row_lines(ids[3:5], cells[3:5])) == b"\xc3\xbc,6,7\n,8,9\n"


def test_texts_and_headers():
    names = np.array(["cat", "a,b"])
    assert bytes(row_lines(np.array(["1", "2"]), names[:, None])) == b'1,cat\n2,"a,b"\n'
    assert header_line(["id", "n,1", 'q"']) == b'id,"n,1","q"""\n'

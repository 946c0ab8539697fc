"""npy and npz files that are torn, lie about their size, or are something else: one message each, and little memory.

The kind: a file whose bytes are not what its headers say, wherever it is read.
"""

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from jaxlab.core.types import UserError
from jaxlab.data.readers.npy import read_npy, read_npz

VALUES = np.arange(12, dtype=np.float32).reshape(3, 4)


def npy(header: str | None = None, values: np.ndarray = VALUES) -> bytes:
    """An npy file; its header's text may be another."""
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=True)
    raw = buffer.getvalue()
    return raw if header is None else raw[:10] + header.encode("latin1").ljust(117) + b"\n" + raw[128:]


def described(shape: str, dtype: str = "<f4") -> bytes:
    return npy(f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}")


WRONG = {
    "empty": b"",
    "a text": b"mine",
    "torn in the header": npy()[:60],
    "torn in the values": npy()[:-3],
    "a header that nests": npy("(" * 117),
    "a header of half a dict": npy("{'descr': ("),
    "a header of no text": npy("\xff\x00"),
    "2^40 elements": described("(1099511627776,)"),
    "10^400 elements": described("(1" + "0" * 60 + ",)"),
    "a negative shape": described("(-3, 4)"),
    "a shape of text": described("('3', 4)"),
    "an unknown dtype": described("(3, 4)", "<x9"),
    "objects": npy(values=np.array([{}], object)),
    "version 9": npy()[:6] + b"\x09" + npy()[7:],
}


@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_npy_is_one_message(tmp_path: Path, what: str, mapped: bool) -> None:
    (file := tmp_path / "x.npy").write_bytes(WRONG[what])
    with pytest.raises(UserError, match=r"x\.npy: cannot be read \(") as error:
        read_npy(file, mapped)
    assert len(str(error.value).splitlines()) == 1


def packed(content: bytes, name: str = "a.npy", how: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", how) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def changed(raw: bytes, place: int, value: int) -> bytes:
    """Another two-byte number in the header of the member, and of the zip's list."""
    listed = raw.index(b"PK\x01\x02")
    raw = raw[:place] + struct.pack("<H", value) + raw[place + 2 :]
    return raw[: listed + place + 2] + struct.pack("<H", value) + raw[listed + place + 4 :]


ARCHIVES = {
    **{what: packed(content) for what, content in WRONG.items() if what != "a text"},
    "encrypted": changed(packed(npy()), 6, 1),
    "an unknown compression": changed(packed(npy()), 8, 77),
    "a flipped bit": packed(npy()).replace(VALUES.tobytes(), b"\x01" + VALUES.tobytes()[1:], 1),
    "torn": packed(npy())[:-10],
    "an npy": npy(),
    "no zip": b"mine",
}


@pytest.mark.parametrize("what", ARCHIVES)
def test_a_wrong_npz_is_one_message(tmp_path: Path, what: str) -> None:
    (file := tmp_path / "x.npz").write_bytes(ARCHIVES[what])
    with pytest.raises(UserError, match=r"x\.npz: cannot be read as numpy arrays \(") as error:
        read_npz(file)
    assert len(str(error.value).splitlines()) == 1


def test_what_headers_promise_takes_no_memory(tmp_path: Path) -> None:
    (npz := tmp_path / "x.npz").write_bytes(packed(described("(268435456,)"), how=zipfile.ZIP_DEFLATED))
    (alone := tmp_path / "x.npy").write_bytes(described("(268435456,)"))
    tracemalloc.start()
    for read, file in ((read_npz, npz), (read_npy, alone)):
        with pytest.raises(UserError):
            read(file)
    assert tracemalloc.get_traced_memory()[1] < 2**24, "of a gibibyte described"
    tracemalloc.stop()


@pytest.mark.parametrize("values", [VALUES, VALUES.T, np.zeros((0, 3)), np.array(3.5), np.array(["ä", "bc"])])
def test_good_files_are_read(tmp_path: Path, values: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", values)
    np.savez_compressed(tmp_path / "a.npz", a=values, zeros=np.zeros(10**6))
    for found in (
        read_npy(tmp_path / "a.npy", True),
        read_npy(tmp_path / "a.npy"),
        read_npz(tmp_path / "a.npz")["a"],
    ):
        np.testing.assert_array_equal(found, values)
        assert found.dtype == values.dtype

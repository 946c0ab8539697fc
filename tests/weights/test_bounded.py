"""Weight files of strangers: a short file never costs more time or memory than its size allows, and says why.

The kind: a few bytes that describe much. Shapes without values behind them, zeros that compress to nothing, sizes
beyond the end of the file, one part that is named many times over.
"""

import io
import pickle
import resource
import struct
import time
import zipfile

import numpy as np
import pytest
from torch_files import save_torch, tensor

from jaxlab.core.types import UserError
from jaxlab.weights.read import read

ONE = ("FloatStorage", "0", 1)


def view(shape, strides, count=1):
    """A file of one stored value, and the pickle's description of a tensor of it."""
    return {"w": tensor(("FloatStorage", "0", count), shape, strides)}


DESCRIBED = {
    "stride 0": view((2**40,), (0,)),
    "stride 0 along one of two axes": view((2**20, 2**20), (0, 0)),
    "a size that wraps around in 64 bits": view((2**32, 2**32), (0, 0)),
    "more values than are stored": view((2**40,), (1,), 2**40),
    "a negative offset": view((1,), (-1,)),
    "overlapping windows": view((2**20, 2**10), (0, 1), 2**10),
}


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_tensor_is_no_larger_than_what_is_stored(name, tmp_path):
    save_torch(DESCRIBED[name] | {"b": np.ones(1, np.float32)}, tmp_path / "x.pt")
    with refused_at_once(), pytest.raises(UserError, match=r"x\.pt: expected a PyTorch state dict"):
        read(str(tmp_path / "x.pt"))


def test_a_tensor_repeated_along_an_axis_of_one_is_read(tmp_path):
    """transformers keeps position_ids so: arange(5).expand(1, -1)."""
    save_torch(
        {"w": tensor(("FloatStorage", "0", 5), (1, 5), (0, 1)), "b": np.arange(5.0)}, tmp_path / "x.pt"
    )
    arrays, _ = read(str(tmp_path / "x.pt"))
    assert arrays["w"].shape == (1, 5)


def test_zeros_are_not_inflated(tmp_path):
    save_torch({"w": np.zeros(2**22, np.float32)}, tmp_path / "x.pt", zipfile.ZIP_DEFLATED)
    assert (tmp_path / "x.pt").stat().st_size < 2**16
    with pytest.raises(UserError, match=r"its \d+ bytes would become 167\d+"):
        read(str(tmp_path / "x.pt"))


def doubled(first, again, times):
    """Opcodes: `first` in memo 0, then `again` with (memo k, memo k) in memo k + 1."""
    made = [first, b"q\0"]
    for k in range(times):
        made += [again(b"h" + bytes([k])), b"q" + bytes([k + 1])]
    return b"".join(made)


def tuples(get):
    return get + get + pickle.TUPLE2


def dicts(get):
    return b"}(X\x01\0\0\0a" + get + b"X\x01\0\0\0b" + get + b"u"


def lists(get):
    return b"](" + get + get + b"e"


PICKLED = {
    "a key whose hash visits shared parts": b"}" + doubled(b")", tuples, 60) + b"Ns.",
    "a set of such": b"\x8f(" + doubled(b")", tuples, 60) + b"\x90.",
    "dicts within dicts twice": doubled(b"}", dicts, 60) + b".",
    "lists within lists twice": doubled(b"]", lists, 60) + b".",
    "a memo of 2^28": b"}r" + struct.pack("<I", 2**28) + b".",
    "a bytearray of 2^40": b"\x96" + struct.pack("<Q", 2**40) + b".",
    "bytes of 2^40": b"\x8e" + struct.pack("<Q", 2**40) + b".",
    "a frame of 2^40": b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"}.",
    "one list in many calls": b"](" + b"N" * 20_000 + b"eq\0" + b"ca\nb\nh\0R0" * 20_000 + b"}.",
    "a shape of 10^5 axes": b"ctorch\nSize\n((" + b"K\x01" * 100_000 + b"ttR.",
    "an integer of 10^6 digits": b"I" + b"9" * 1_000_000 + b"\n.",
    "a set that changes our functions": b"ctorch._utils\n_rebuild_tensor_v2\n}X\x0c\0\0\0__defaults__Nsb.",
}


@pytest.mark.parametrize("name", PICKLED)
@pytest.mark.parametrize("form", ["zipped", "legacy"])
def test_a_pickle_takes_no_longer_than_its_length(form, name, tmp_path):
    content = PICKLED[name]
    file = tmp_path / "x.pt"
    if form == "zipped":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("x/data.pkl", content)
    else:
        head = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
        file.write_bytes(head + pickle.dumps({"little_endian": True}, 2) + content)
    with refused_at_once(), pytest.raises(UserError, match=r"x\.pt: expected a PyTorch state dict"):
        read(str(file))


def test_a_legacy_storage_beyond_the_end_is_refused(tmp_path):
    stream = io.BytesIO()
    for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
        stream.write(pickle.dumps(part, 2))
    stream.write(b"}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n(")
    stream.write(b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0" + b"0X\x03\0\0\0cpuK\x01NtQ")
    stream.write(b"K\0K\x01\x85K\x01\x85\x89}tRs.")
    stream.write(pickle.dumps(["0"], 2) + struct.pack("<q", 2**40))
    (tmp_path / "x.pth").write_bytes(stream.getvalue())
    with refused_at_once(), pytest.raises(UserError, match=r"ends within a storage of 1099511627776 values"):
        read(str(tmp_path / "x.pth"))


class refused_at_once:
    """Within a second of this thread's time, and 200 MB."""

    def __enter__(self):
        self.began, self.used = time.thread_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def __exit__(self, *_):
        assert time.thread_time() - self.began < 1
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - self.used < 200_000

"""HDF5 files of strangers: what they show lies in them, and is no larger than they are.

The kind: a file that names another (links, external storage, virtual datasets: a system's file was read as data so),
and one that describes values that it does not hold.
"""

import h5py
import numpy as np
import pytest

from jaxlab.core.types import UserError
from jaxlab.data.readers.arrays import load, open_hdf5


def external(file, other):
    file.create_dataset("x", (4,), "u1", external=[(str(other), 0, 4)])


def linked(file, other):
    file["x"] = h5py.ExternalLink(str(other), "x")


def softly(file, other):
    file["y"] = np.ones(2)
    file["x"] = h5py.SoftLink("/y")


def virtual(file, other):
    layout = h5py.VirtualLayout((4,), "u1")
    layout[:] = h5py.VirtualSource(str(other), "x", (4,))
    file.create_virtual_dataset("x", layout)


def sparse(file, other):
    file.create_dataset("x", (2**40,), "f4", chunks=(2**20,))


FILES = {
    external: "'x', whose values lie in others",
    linked: "found links",
    softly: "found links",
    virtual: "'x', whose values lie in others",
    sparse: "4,398,046,511,104 bytes, of which the file holds 0",
}


@pytest.mark.parametrize("make", FILES)
def test_what_lies_elsewhere_or_nowhere_is_refused(make, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.arange(4, dtype="u1")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        make(file, tmp_path / "other.h5")
    with pytest.raises(UserError, match=FILES[make]):
        open_hdf5(tmp_path / "x.h5")
    with pytest.raises(UserError, match=FILES[make]):
        load(tmp_path / "x.h5", ())


def test_compressed_arrays_are_read(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=np.zeros((1000, 1000)), compression="gzip", chunks=True)
        file["none"] = np.zeros((0, 3))
    assert load(tmp_path / "x.h5", ())["x"].shape == (1000, 1000)

import io
import os
import pickle

import numpy as np
import pytest

from submit.files.pickles import UnsafePickle, load_plain

CONTENT = {
    "V1": {"sub01": np.arange(6, dtype=np.float32).reshape(2, 3), "sub02": np.ones((2, 1))},
    "turned": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "axes in another order": np.arange(24.0).reshape(2, 3, 4).transpose(1, 0, 2),
    "every other": np.arange(24.0).reshape(6, 4)[::2, ::2],
    "none": np.zeros((3, 0)),
    "other end": np.arange(3, dtype=">i2"),
    "plain": [1, 2.5, True, None, "text", b"bytes", b"", (3, "x")],
}
# As numpy 1 on Python 2 wrote np.array([1.0, 2.0])
OLD = (
    b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87Rq\x03"
    b"(K\x01K\x02\x85cnumpy\ndtype\nq\x04U\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
    b"K\x00tb\x89U\x10\0\0\0\0\0\0\xf0?\0\0\0\0\0\0\0@tb."
)


class Evil:
    def __reduce__(self):
        return os.system, ("true",)


class Hidden:
    """Calls through a name that numpy's arrays use too."""

    def __reduce__(self):
        return np.ndarray, ((2,), "u1", b"ab")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_plain_values_of_every_protocol(protocol):
    found = load_plain(io.BytesIO(pickle.dumps(CONTENT, protocol)))
    assert list(found) == list(CONTENT)
    assert found.pop("plain") == CONTENT["plain"]
    regions = found.pop("V1")
    for name, array in {**CONTENT["V1"], **CONTENT}.items():
        if isinstance(array, np.ndarray):
            np.testing.assert_array_equal({**regions, **found}[name], array, strict=True)


def test_an_array_of_python_2():
    np.testing.assert_array_equal(load_plain(io.BytesIO(OLD)), np.array([1.0, 2.0]), strict=True)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_single_numbers_and_texts_of_numpy_come_as_those_of_python(protocol):
    content = {np.str_("sub01"): np.float64(1.5), np.int64(3): np.bool_(True)}
    (text, number), (whole, truth) = load_plain(io.BytesIO(pickle.dumps(content, protocol))).items()
    assert (text, number, whole, truth) == ("sub01", 1.5, 3, True)
    assert [type(one) for one in (text, number, whole, truth)] == [str, float, int, bool]


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    "content", [Evil(), {"V1": {"sub01": Evil()}}, np.array([Evil()], object), [os.system]]
)
def test_programs_are_not_run(content, protocol, monkeypatch):
    data = pickle.dumps(content, protocol)
    ran = []
    monkeypatch.setattr(os, "system", ran.append)
    with pytest.raises(UnsafePickle, match=r"its pickle asks for \w+\.system; such a file can run programs"):
        load_plain(io.BytesIO(data))
    assert not ran


@pytest.mark.parametrize(
    "data",
    [
        b"(S'true'\nios\nsystem\n.",
        b"(cos\nsystem\nS'true'\no.",
        b"\x80\x04\x8c\x05numpy\x8c\x17ndarray.tofile.__call__\x93.",
        b"c__builtin__\neval\n(S'1'\ntR.",
    ],
)
def test_other_ways_to_name_a_function_are_not_taken(data):
    with pytest.raises(UnsafePickle, match="such a file can run programs"):
        load_plain(io.BytesIO(data))


@pytest.mark.parametrize(
    "data",
    [
        b"cnumpy\nndarray\n}S'maker'\nS'scalar'\nsb.",  # a state for the class itself
        b"cnumpy\ndtype\n(S'f8'\ntR.",
        b"c__builtin__\nbytes\n(I9\ntR.",
        b"\x82\x01.",
        b"",
        b"text",
        pickle.dumps(CONTENT)[:-20],
        pickle.dumps(np.ndarray),
        pickle.dumps(Hidden()),
        pickle.dumps(np.array(["text"])),
        pickle.dumps(np.array([(1, 2)], "i4,i4")),
    ],
)
def test_damage_and_other_arrays_are_an_error(data):
    with pytest.raises(ValueError, match="cannot be read as a pickle"):
        load_plain(io.BytesIO(data))

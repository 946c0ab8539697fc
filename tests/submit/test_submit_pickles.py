import io
import os
import pickle

import numpy as np
import pytest

from submit.pickles import UnsafePickle, load_plain

CONTENT = {
    "V1": {"sub01": np.arange(6, dtype=np.float32).reshape(2, 3), "sub02": np.ones((2, 1))},
    "turned": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "other end": np.arange(3, dtype=">i2"),
    "plain": [1, 2.5, True, None, "text", b"bytes", (3, "x")],
}


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
    assert found["plain"] == CONTENT["plain"]
    for a, b in [
        (found["V1"]["sub01"], CONTENT["V1"]["sub01"]),
        (found["V1"]["sub02"], CONTENT["V1"]["sub02"]),
        (found["turned"], CONTENT["turned"]),
        (found["other end"], CONTENT["other end"]),
    ]:
        np.testing.assert_array_equal(a, b, strict=True)


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

import numpy as np
import pytest

from submit.floats import format_rows


def texts(values: np.ndarray) -> list[str]:
    return format_rows(values[None]).decode().removesuffix("\n").split(",")


def bits(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32).view(np.uint32)


def test_every_kind_of_float32_reads_back_bit_for_bit():
    rng = np.random.default_rng(0)
    any_bits = rng.integers(0, 2**32, 50_000, dtype=np.uint32).view(np.float32)
    powers = np.concatenate([2.0 ** np.arange(-149, 128), 10.0 ** np.arange(-44, 39)]).astype(np.float32)
    values = np.concatenate([any_bits[np.isfinite(any_bits)], powers, -powers, np.float32([0.0, -0.0])])
    np.testing.assert_array_equal(bits(np.array([float(text) for text in texts(values)])), bits(values))


@pytest.mark.parametrize("scale", [1e-6, 0.01, 1.0, 300.0, 1e7])
def test_no_more_digits_than_numpy_needs(scale):
    values = (np.random.default_rng(1).standard_normal(5_000) * scale).astype(np.float32)

    def digits(text: str) -> int:
        return len(text.split("e")[0].replace(".", "").strip("-0"))

    assert [digits(text) for text in texts(values)] == [digits(str(value)) for value in values]


def test_how_numbers_look():
    values = np.float32([0, -0.5, 3, 0.1, 9999.9, 12345, 3.4028235e38, 0.0001, 0.00001, 9.9999999e-5])
    large, small = ["9999.9", "1.2345e+04", "3.4028235e+38"], ["0.0001", "1.0e-05", "0.0001"]
    assert texts(values) == ["0.0", "-0.5", "3.0", "0.1", *large, *small]


def test_rows_end_with_a_newline():
    assert format_rows(np.float32([[1, 2], [3, 4]])) == b"1.0,2.0\n3.0,4.0\n"

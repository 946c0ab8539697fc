"""float32 numbers as the shortest decimal text that reads back as the same float32, thousands at a time.

Python and pandas format one number at a time, which is most of the time a large submission takes. Here each
number becomes a record of fixed width, filled from tables four digits at a time; the unused bytes stay NUL and
are deleted at the end.
"""

import numpy as np

_SMALLEST, _LARGEST = -4, 3  # decimal exponents written without "e", as 0.00012 to 9999.9

_RECORD = np.dtype(
    [
        ("sign", "u1"),
        ("whole", "u4"),
        ("dot", "u1"),
        ("a", "u4"),
        ("b", "u4"),
        ("c", "u4"),
        ("exp", "u4"),
        ("end", "u1"),
    ]
)


def _words(texts: list[str]) -> np.ndarray:
    """Texts of at most four characters as 32-bit words, padded with NUL."""
    return np.array(texts, "S4").view(np.uint32)


_GROUPS = [f"{i:04d}" for i in range(10_000)]
_WHOLE = _words([str(i) for i in range(10_000)])
# A group of decimals: the first half as it ends the number (zeros stripped), the second as more digits follow.
_FIRST = _words([g.rstrip("0") or "0" for g in _GROUPS] + _GROUPS)
_LATER = _words([g.rstrip("0") for g in _GROUPS] + _GROUPS)
_EXPONENT = _words([f"e{e:+03d}" for e in range(-46, 40)])
_POWER = np.array([float(f"1e{k}") for k in range(-40, 60)])


def _power(k: np.ndarray) -> np.ndarray:
    return _POWER[k + 40]


def _digits(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nine-digit integers m (as float64) and exponents e with |value| = m * 10**(e - 8) in the fewest digits."""
    exact = np.abs(values).astype(np.float64)
    zero = exact == 0
    e = np.floor(np.log10(np.where(zero, 1.0, exact))).astype(np.int64)
    scale = _power(8 - e)
    scaled = exact * scale
    m = np.rint(scaled)
    size = np.abs(values)
    for unit in (10.0, 100.0, 1000.0):  # nine digits always suffice, and six are always exact
        shorter = np.rint(scaled / unit) * unit
        m = np.where((shorter / scale).astype(np.float32) == size, shorter, m)
    carry = m >= 1e9  # 9.9999999 became 10
    return np.where(carry, 1e8, m), e + carry


def format_rows(values: np.ndarray) -> bytes:
    """Finite (n, t) float32 as n lines of t comma-separated numbers, each line ended by a newline.

    Every number reads back as the same float32 (also when parsed as float64 and rounded), in the fewest
    digits that do.
    """
    flat = np.ascontiguousarray(values, np.float32).ravel()
    m, e = _digits(flat)
    plain = (e >= _SMALLEST) & (e <= _LARGEST)
    decimals = np.where(plain, 8 - e, 8)
    whole = np.floor(m / _power(decimals))
    rest = ((m - whole * _power(decimals)) * _power(12 - decimals)).astype(np.int64)
    a = rest // 100_000_000
    rest -= a * 100_000_000
    b = rest // 10_000
    c = rest - b * 10_000
    out = np.zeros(flat.size, _RECORD)
    out["sign"] = np.where(np.signbit(flat), ord("-"), 0)
    out["whole"] = _WHOLE[whole.astype(np.int64)]
    out["dot"] = ord(".")
    out["a"] = _FIRST[a + 10_000 * (rest > 0)]
    out["b"] = _LATER[b + 10_000 * (c > 0)]
    out["c"] = _LATER[c]
    if not plain.all():
        out["exp"] = np.where(plain, 0, _EXPONENT[e + 46])
    out["end"] = ord(",")
    out["end"].reshape(values.shape)[:, -1:] = ord("\n")
    return out.tobytes().translate(None, b"\0")

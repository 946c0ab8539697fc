"""Features as ridge regression takes them: each layer blurred, centred and scaled as one, a block of rows at a time.

A band is one layer at one blur. Its features are scaled together, so that the mean squared norm of the training rows is
1 once they are centred: bands of different sizes then count alike, and penalties mean the same for any network.
"""

import functools
import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlab.core.types import UserError
from jaxlab.data.source import examples
from jaxlab.encode.dealt import dealt
from jaxlab.encode.repeated import Repeated, Rows
from submit.late import Late

if TYPE_CHECKING:
    from scipy import ndimage
else:
    ndimage = Late("scipy.ndimage")

_BLOCK = 1 << 28  # values of one block of rows: 1 GB in float32
_PIECE = 1 << 24  # where blocks need not meet each other: 64 MB, as are temporary arrays then
_FILTERS = 1 << 22  # values of a blur's filters, one for each row that it takes at a time: 16 MB
_FEW = 256  # rows whose mean stands for that of all
_FLOOR = (
    0.01  # of a band's mean variance: a unit of less is nearly silent, and is not scaled up to the others
)


@dataclass(frozen=True, eq=False)
class Band:
    """array: (n, ...) features of the training rows. blur: as in `Ridge`. name: `layer`, or `layer~blur`.

    sums, squares: (k, d) float64 sums over the rows of each of the k folds, above `shift` (d,).
    products: (n, n) float32, the kernel of features that are not standardised, not centred either; None where it was
    not asked for, or features are too large for one block.
    """

    layer: str
    blur: float
    array: Rows
    counts: np.ndarray
    shift: np.ndarray
    sums: np.ndarray
    squares: np.ndarray
    products: np.ndarray | None = None

    @property
    def name(self) -> str:
        return f"{self.layer}~{self.blur:g}" if self.blur else self.layer

    @property
    def width(self) -> int:
        """Values a sample."""
        return len(self.shift)

    def check(self, ids: np.ndarray) -> None:
        """Raises UserError where features are not finite, or too large to be squared. ids: (n,) of the rows."""
        if np.isfinite(self.squares).all():
            return
        bad = [rows.start + np.flatnonzero(~_finite(self.array[rows])) for rows in _slices(self.array)]
        if not len(odd := ids[np.concatenate(bad)]):
            raise UserError(
                f"features {self.name}: expected values that float32 can square, found larger ones"
            )
        raise UserError(
            f"features {self.name}: those of {len(odd):,} of {len(ids):,} samples are not finite "
            f"({examples(odd.tolist())}); look at these samples, and at the encoder's weights"
        )

    def moments(self, without: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(d,) mean and variance over all training rows, or those of all folds but one."""
        chosen = np.arange(len(self.counts)) != (-1 if without is None else without)
        n = self.counts[chosen].sum()
        mean = self.sums[chosen].sum(0) / n
        variance = np.maximum(self.squares[chosen].sum(0) / n - np.square(mean), 0)
        return mean + self.shift, variance

    def scaling(self, standardize: bool, without: int | None = None) -> "Scaling":
        """How features become a band's: of all training rows, or of those of all folds but one."""
        mean, variance = self.moments(without)
        if standardize and variance.any():
            gain = 1 / np.sqrt(np.maximum(variance, _FLOOR * variance.mean()))
        else:
            gain = np.ones(self.width)
        total = float((variance * np.square(gain)).sum())
        gain = gain / np.sqrt(total) if total > 0 else np.zeros(self.width)
        return Scaling(self.blur, mean.astype(np.float32), gain.astype(np.float32))


@dataclass(frozen=True, eq=False)
class Scaling:
    """(blurred - mean) * gain; both (d,) float32."""

    blur: float
    mean: np.ndarray
    gain: np.ndarray

    def times(self, weight: float) -> "Scaling":
        """With kernels multiplied by `weight`."""
        return Scaling(self.blur, self.mean, self.gain * np.float32(np.sqrt(weight)))

    def blocks(
        self,
        array: Rows,
        do: Callable[[slice, Float[Array, "b d"]], Any] = lambda _, x: x,
        beside: int = 0,
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Rows of features, some at a time, and what `do` makes of them as the band's on a device.

        beside: values that `do` moves for each block besides: of so many, blocks are as large, and few.
        """

        def block(rows: slice) -> tuple[slice, np.ndarray]:
            return rows, np.asarray(do(rows, self(array[rows])))

        yield from dealt(block, _slices(array, min(max(_PIECE, beside), _BLOCK)))
        _let_go(array)

    def __call__(self, rows: np.ndarray) -> Float[Array, "b d"]:
        """So many rows that they fit into memory."""
        return _scaled(rows, self.mean, self.gain, self.blur)


def measure(layer: str, blur: float, array: Rows, fold: np.ndarray, with_products: bool = False) -> Band:
    """One pass over the features of the training rows; fold: (n,) the number of each one's fold.

    with_products: of features that will not be standardised, also their kernel, for which else another pass is needed.
    """
    counts = np.bincount(fold)
    with np.errstate(all="ignore"):  # what is not finite, `Band.check` tells
        shift = _typical(array[:_FEW], blur)
    sums, squares = (np.zeros((len(counts), len(shift))) for _ in range(2))
    whole = with_products and len(array) * len(shift) <= _BLOCK
    above = np.empty((len(array), len(shift)), np.float32) if whole else None

    def block(rows: slice) -> tuple[np.ndarray, np.ndarray]:
        member = (fold[rows][None] == np.arange(len(counts))[:, None]).astype(np.float32)
        x, *found = _sums(array[rows], shift, member, blur)
        if above is not None:
            above[rows] = x
        first, second = jax.device_get(found)
        return first, second

    for first, second in dealt(block, _slices(array, _PIECE)):
        sums += first
        squares += second
    _let_go(array)
    band = Band(layer, blur, array, counts, shift, sums, squares)
    if above is None:
        return band
    with np.errstate(all="ignore"):
        above *= band.scaling(standardize=False).gain  # first: of their own unit, products may overflow
        return replace(band, products=_with_itself(above))


def _typical(some: np.ndarray, blur: float) -> np.ndarray:
    """(d,) float32 mean of a few rows, blurred: above it, sums in float32 keep small variances."""
    mean = some.astype(np.float32).mean(0)
    if blur and mean.ndim == 3:
        down, across = (blur_matrix(size, blur) for size in mean.shape[:2])
        mean = np.einsum("ih,hwc,jw->ijc", down, mean, across, optimize=True)
    return mean.reshape(-1)


def kernel(first: Rows, second: Rows | None, scaling: Scaling) -> np.ndarray:
    """(n, m) float32 products of two sets of rows of a layer; second None: of one with itself."""
    other = first if second is None else second
    out = np.empty((len(first), len(other)), np.float32)

    def block(rows: slice) -> None:
        a = scaling(first[rows])
        if second is None:
            out[rows, rows] = _with_itself(np.asarray(a))
        for columns in _slices(other):
            if second is not None or columns.start > rows.start:
                out[rows, columns] = np.asarray(_products(a, scaling(other[columns])))
                if second is None:
                    out[columns, rows] = out[rows, columns].T

    for _ in dealt(block, _slices(first)):
        pass
    for side in (first, other):
        _let_go(side)
    return out


def _with_itself(x: np.ndarray) -> np.ndarray:
    """(n, n) products of (n, d). On a CPU by numpy, whose BLAS computes a half of them and mirrors it."""
    return x @ x.T if jax.default_backend() == "cpu" else np.asarray(_products(x, x))


def _finite(rows: np.ndarray) -> np.ndarray:
    """(b,) bool."""
    flat = rows.reshape(len(rows), -1).astype(np.float32)
    return np.asarray(np.isfinite(flat).all(1))


def _let_go(array: Rows) -> None:
    """Takes what was read of a file off this process's memory; the system keeps it, as far as there is room."""
    rows = array.array if isinstance(array, Repeated) else array
    owner: Any = rows
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if rows.flags.writeable:  # what was written to a private copy would be lost
        return
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)


def _slices(array: Rows, values: int | None = None) -> list[slice]:
    """Rows of so many values at a time, by default _BLOCK."""
    step = max(1, (values or _BLOCK) // max(1, int(np.prod(array.shape[1:]))))
    return [slice(start, min(start + step, len(array))) for start in range(0, len(array), step)]


@functools.partial(jax.jit, static_argnums=3)
def _sums(
    x: Array, shift: Float[Array, " d"], member: Float[Array, "k b"], blur: float
) -> tuple[Float[Array, "b d"], Float[Array, "k d"], Float[Array, "k d"]]:
    """Features above `shift`, their sums by fold and those of their squares."""
    x = _blurred(x, blur) - shift[None]
    return x, jnp.matmul(member, x, precision="highest"), jnp.matmul(member, x * x, precision="highest")


@jax.jit
def _products(a: Float[Array, "n d"], b: Float[Array, "m d"]) -> Float[Array, "n m"]:
    return jnp.matmul(a, b.T, precision="highest")


@functools.partial(jax.jit, static_argnums=3)
def _scaled(x: Array, mean: Float[Array, " d"], gain: Float[Array, " d"], blur: float) -> Float[Array, "b d"]:
    return (_blurred(x, blur) - mean[None]) * gain[None]


def _blurred(x: Array, blur: float) -> Float[Array, "b d"]:
    """Flattened features, smoothed along height and width where the layer has them, as many rows at a time as share
    filters of _FILTERS values: those of all rows may be many times as large as maps of few channels."""
    if not blur or x.ndim != 4:
        return x.astype(jnp.float32).reshape(len(x), -1)
    b, h, w, _ = x.shape
    count = max(1, _FILTERS // (h * max(h, w * w)))
    if count >= b:
        return _smoothed(x, blur)

    def some(turn: int, out: Float[Array, "b d"]) -> Float[Array, "b d"]:
        start = jnp.minimum(turn * count, b - count)  # the last ones overlap
        part = jax.lax.dynamic_slice_in_dim(x, start, count)
        return jax.lax.dynamic_update_slice_in_dim(out, _smoothed(part, blur), start, axis=0)

    return jax.lax.fori_loop(0, -(-b // count), some, jnp.zeros((b, x[0].size), jnp.float32))


def _smoothed(x: Array, blur: float) -> Float[Array, "b d"]:
    b, h, w, c = x.shape
    x = _along(h, x.astype(jnp.float32).reshape(b, h, w * c), blur)
    return _along(w, x.reshape(b * h, w, c), blur).reshape(b, -1)


def _along(size: int, x: Float[Array, "b s r"], blur: float) -> Float[Array, "b s r"]:
    """Smoothed along the middle axis. The filter is repeated for each of the batch: else all of it is transposed."""
    return jnp.matmul(jnp.broadcast_to(blur_matrix(size, blur), (len(x), size, size)), x, precision="highest")


@functools.cache
def blur_matrix(size: int, blur: float) -> np.ndarray:
    """(size, size) float32: a Gaussian filter along one axis, of standard deviation blur * size, edges mirrored."""
    return ndimage.gaussian_filter1d(np.eye(size), blur * size, axis=0, mode="reflect").astype(np.float32)

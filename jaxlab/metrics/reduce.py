"""Sums over the rows of a batch that lies on one device or on several."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Shaped


def total(
    values: Float[Array, "b ..."], mask: Bool[Array, "b ..."] | None, axis_name: str | None
) -> Float[Array, "..."]:
    """Sum over unmasked rows, and over the devices of `axis_name`. A masked row counts as nothing, even if NaN.

    A mask of (b, t) is of the values themselves.
    """
    if mask is not None:
        values = jnp.where(mask.reshape(*mask.shape, *[1] * (values.ndim - mask.ndim)), values, 0)
    summed = values.sum(0)
    return summed if axis_name is None else jax.lax.psum(summed, axis_name)


def gathered(values: Shaped[Array, "b ..."], axis_name: str | None) -> Shaped[Array, "n ..."]:
    """The rows of all devices of `axis_name`, in their order."""
    return values if axis_name is None else jax.lax.all_gather(values, axis_name, tiled=True)


def spanned(ranges: Float[Array, "2 c"], axis_name: str | None) -> Float[Array, "2 c"]:
    """Least and largest values over the devices of `axis_name`, from each one's."""
    if axis_name is None:
        return ranges
    return jnp.stack([jax.lax.pmin(ranges[0], axis_name), jax.lax.pmax(ranges[1], axis_name)])


def largest(
    values: Float[Array, "b t"], mask: Bool[Array, "b ..."] | None, axis_name: str | None
) -> Float[Array, " t"]:
    """The largest size of each target over unmasked rows, and over the devices of `axis_name`; 0 of none."""
    sizes = jnp.abs(values)
    if mask is not None:
        sizes = jnp.where(mask if mask.ndim == 2 else mask[:, None], sizes, 0)
    found = sizes.max(0)
    return found if axis_name is None else jax.lax.pmax(found, axis_name)

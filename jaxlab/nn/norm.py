"""Batch normalisation, which backbones and readouts share."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from jaxlab.core.scopes import scope
from jaxlab.core.types import Mode
from jaxlab.nn.cpu import layers as cpu
from jaxlab.nn.cpu import on_cpu
from jaxlab.nn.cpu.norm import moments, scaled


class BatchNorm(nnx.Module):
    """Batch normalisation over all but the last axis (Ioffe & Szegedy 2015), running statistics as PyTorch.

    In training the statistics are those of the global batch (all devices of `mode.axis_name`, which must hold
    equally many rows), and the running ones move by `momentum` towards them, with the variance unbiased.
    So they are in evaluation where `mode.momentum` is set, which then is the momentum.
    With `use_running_average` set, the running ones serve always and stay as they are.
    affine: a learned scale and bias follow. Without them no gradient has to reach features that are not trained.
    observed: it leaves `moments`, of what it normalises before scale and bias: (2, b, c) means over positions of the
    values and of their squares. Over all of the training data they are 0 and 1, as far as running statistics are right.
    """

    def __init__(self, channels: int, *, momentum: float = 0.1, eps: float = 1e-5, affine: bool = True):
        self.scale = nnx.Param(jnp.ones(channels)) if affine else None
        self.bias = nnx.Param(jnp.zeros(channels)) if affine else None
        self.mean = nnx.BatchStat(jnp.zeros(channels))
        self.var = nnx.BatchStat(jnp.ones(channels))
        self.momentum = momentum
        self.eps = eps
        self.use_running_average = False
        self.observed = False

    @scope("normalisation")
    def __call__(
        self,
        x: Float[Array, "*b c"],
        mode: Mode,
        mask: Bool[Array, "*b"] | None = None,
        then: Callable[[Array], Array] = jax.nn.identity,
    ) -> Float[Array, "*b c"]:
        """mask: which positions the statistics are of; default all. then: what follows, of each value by itself."""
        values = (cpu.rows(x) if on_cpu() else x).astype(jnp.float32)
        if self.moving(mode):
            mean, var = self._moved(values, mode, None if mask is None else mask.reshape(values.shape[:-1]))
        else:
            mean, var = self.mean[...], self.var[...]
        slope, bias = jax.lax.rsqrt(var + self.eps), jnp.zeros_like(mean)
        if self.observed:
            normalised = (values - _along(mean, values)) * _along(slope, values)
            normalised = normalised.reshape(len(x), -1, x.shape[-1])
            self.moments = nnx.Intermediate(jnp.stack([normalised.mean(1), jnp.square(normalised).mean(1)]))
        if self.scale is not None and self.bias is not None:
            slope, bias = self.scale[...] * slope, self.bias[...]

        def followed(values: Array) -> Array:
            return then(values.astype(x.dtype))

        if on_cpu():
            return scaled(values, mean, slope, bias, followed).reshape(x.shape)
        centred = values - _along(mean, values)
        return followed(centred * _along(slope, values) + _along(bias, values)).reshape(x.shape)

    def _moved(
        self, values: Float[Array, "*n c"], mode: Mode, mask: Bool[Array, "*n"] | None
    ) -> tuple[Float[Array, " c"], Float[Array, " c"]]:
        """Mean and biased variance of the batch; moves the running statistics."""
        count = _shown(values, mask)
        if on_cpu() and mask is None:
            mean, var = moments(values)
        else:
            mean = _mean(values, mask, count)
            var = _mean(jnp.square(values - _along(mean, values)), mask, count)
        return self._settled(mean, var, count, mode)

    def moving(self, mode: Mode) -> bool:
        """Whether it takes the batch's statistics."""
        return (mode.train or mode.momentum is not None) and not self.use_running_average

    @scope("normalisation")
    def joined(
        self, means: Float[Array, "b c"], variances: Float[Array, "b c"], positions: int, mode: Mode
    ) -> tuple[Float[Array, " c"], Float[Array, " c"]]:
        """The batch's mean and biased variance from those of each image's positions; moves the running statistics."""
        mean = means.mean(0)
        var = (variances + jnp.square(means - mean[None])).mean(0)
        return self._settled(mean, var, jnp.float32(len(means) * positions), mode)

    def _settled(
        self, mean: Float[Array, " c"], var: Float[Array, " c"], count: Float[Array, ""], mode: Mode
    ) -> tuple[Float[Array, " c"], Float[Array, " c"]]:
        """Mean and biased variance over all devices from this one's, of `count` positions; moves the running ones."""
        if mode.axis_name is not None:
            mean, var, count = _of_all(mean, var, count, mode.axis_name)
        momentum = self.momentum if mode.momentum is None else mode.momentum
        unbiased = var * (count / jnp.maximum(count - 1, 1))
        for running, new in ((self.mean, mean), (self.var, unbiased)):
            running[...] += momentum * (jax.lax.stop_gradient(new) - running[...])
        return mean, var


class LayerNorm(nnx.LayerNorm):
    """flax's, by a name of its own in a profiler's trace."""

    @scope("normalisation")
    def __call__(self, x: Array, **options: Any) -> Array:
        return super().__call__(x, **options)


def _mean(
    values: Float[Array, "*n c"], mask: Bool[Array, "*n"] | None, count: Float[Array, ""]
) -> Float[Array, " c"]:
    axes = tuple(range(values.ndim - 1))
    if mask is None:
        return values.mean(axes)
    return jnp.where(mask[..., None], values, 0).sum(axes) / jnp.maximum(count, 1)


def _shown(values: Float[Array, "*n c"], mask: Bool[Array, "*n"] | None) -> Float[Array, ""]:
    """How many positions are shown on this device."""
    return jnp.float32(math.prod(values.shape[:-1])) if mask is None else mask.sum().astype(jnp.float32)


def _of_all(
    mean: Float[Array, " c"], var: Float[Array, " c"], count: Float[Array, ""], axis_name: str
) -> tuple[Float[Array, " c"], Float[Array, " c"], Float[Array, ""]]:
    """Mean, biased variance and count over all devices from each one's: they wait for each other once, not twice.

    Chan et al. (1983), "Algorithms for computing the sample variance".
    """
    own = jnp.concatenate([mean, var, count[None]])
    every = jax.lax.all_gather(own, axis_name)
    means, variances = jnp.split(every[:, :-1], 2, axis=1)
    total = every[:, -1].sum()
    share = every[:, -1:] / jnp.maximum(total, 1)
    whole = (share * means).sum(0)
    return whole, (share * (variances + jnp.square(means - whole[None]))).sum(0), total


def _along(channels: Float[Array, " c"], values: Float[Array, "*n c"]) -> Float[Array, "*one c"]:
    """With as many axes as the values: shapes are never promoted by themselves."""
    return jnp.expand_dims(channels, tuple(range(values.ndim - 1)))

"""Optimizers as optax chains: clip, then L2, direction, decoupled decay. The rate is applied by `groups`."""

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import optax
from jaxtyping import Array, Float

from jaxlab.core.config import LATER, Component, components
from jaxlab.core.types import UserError
from jaxlab.optim.schedules import Constant, Schedule


def undecayed(config: Component) -> frozenset[str]:
    """Last names of the parameters that decay spares though they are no vectors, as the parts of `config` name them.

    Where a readout looks and what a transformer's tokens are: nothing speaks for their being near 0.
    """
    return frozenset(name for part in components(config) for name in part.undecayed)


def decayed(params: dict[str, Any], spared: Collection[str]) -> dict[str, bool]:
    """Which leaves are decayed: kernels (two axes or more), not biases, the scales of norms or what is `spared`."""
    return {path: leaf.ndim > 1 and path.rpartition(".")[2] not in spared for path, leaf in params.items()}


@dataclass(frozen=True, kw_only=True)
class Optimizer(Component):
    """Base of all optimizers.

    weight_decay: decoupled, p -= rate * weight_decay * p (Loshchilov & Hutter 2019).
        The rate is that of each parameter, where a FineTune makes them differ.
    l2: added to the gradient before momentum or moments, as torch's `SGD(weight_decay=)` does.
    Both leave biases, norms, positions and tokens alone.
    clip_norm: upper bound of the gradient's global norm. clip_value: of each of its values.
    sam: radius of sharpness-aware minimisation (Foret et al. 2021, whose rho is 0.05); None for none. The gradient is
        then taken where the loss within that radius is largest, which costs a second pass forward and back of each
        batch. Batch norm's running statistics and the scores are of the first pass, the parameters as they are.
    lr: the base learning rate. schedule: what becomes of it in the course of training.
    """

    lr: float = 1e-3
    schedule: Schedule = Constant()
    weight_decay: float = 0.0
    l2: float = 0.0
    clip_norm: float | None = None
    clip_value: float | None = None
    sam: float | None = field(default=None, metadata=LATER)

    def check(self) -> None:
        for name in ("weight_decay", "l2"):
            if getattr(self, name) < 0:
                raise UserError(
                    f"{type(self).__name__}.{name}: expected 0 or more, found {getattr(self, name)}"
                )
        for name in ("lr", "clip_norm", "clip_value", "sam"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UserError(f"{type(self).__name__}.{name}: expected more than 0, found {value}")

    def direction(self) -> optax.GradientTransformation:
        """The gradient made into a direction of descent, before decay and rate."""
        raise NotImplementedError

    def cycled(self, momentum: Float[Array, ""]) -> optax.GradientTransformation:
        """`direction` with this momentum, which a schedule gives, in place of its own, where it has one."""
        return self.direction()

    def clip(self) -> optax.GradientTransformation:
        """The bounds on the gradient of all parameters together; stateless."""
        parts = [optax.identity()]  # a chain of none is refused
        if self.clip_value is not None:
            parts.append(optax.clip(self.clip_value))
        if self.clip_norm is not None:
            parts.append(optax.clip_by_global_norm(self.clip_norm))
        return optax.chain(*parts)

    def build(
        self, spared: Collection[str], momentum: Float[Array, ""] | None = None
    ) -> optax.GradientTransformation:
        """Clipped gradients of flat parameters made into what the rate multiplies and parameters lose.

        spared: last names of parameters that are not decayed, see `undecayed`. momentum: as in `cycled`.
        """
        mask = partial(decayed, spared=spared)
        parts = []
        if self.l2:
            parts.append(optax.add_decayed_weights(self.l2, mask=mask))
        parts.append(self.direction() if momentum is None else self.cycled(momentum))
        if self.weight_decay:
            parts.append(optax.add_decayed_weights(self.weight_decay, mask=mask))
        return optax.chain(*parts)


@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """Stochastic gradient descent with (Nesterov) momentum; torch's convention, without dampening.

    momentum: share of the last direction that is kept; 0 for none. nesterov: looks ahead along it.
    """

    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False

    def direction(self) -> optax.GradientTransformation:
        return optax.trace(self.momentum, self.nesterov) if self.momentum else optax.identity()

    def cycled(self, momentum: Float[Array, ""]) -> optax.GradientTransformation:
        return optax.trace(momentum, self.nesterov) if self.momentum else optax.identity()


@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Kingma & Ba 2015.

    b1, b2: shares that the moving means of gradient and squared gradient keep. eps: added to the root of the latter.
    """

    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8

    def direction(self) -> optax.GradientTransformation:
        return optax.scale_by_adam(self.b1, self.b2, self.eps)

    def cycled(self, momentum: Float[Array, ""]) -> optax.GradientTransformation:
        return optax.scale_by_adam(momentum, self.b2, self.eps)


@dataclass(frozen=True, kw_only=True)
class AdamW(Adam):
    """Adam with decoupled weight decay on by default (Loshchilov & Hutter 2019)."""

    weight_decay: float = 1e-2


@dataclass(frozen=True, kw_only=True)
class RMSprop(Optimizer):
    """Tieleman & Hinton 2012, as torch has it: without centring, eps outside the root, momentum of the scaled gradient.

    decay: share of the moving mean of the squared gradient that is kept (torch's alpha). eps: added to its root.
    momentum: share of the last direction that is kept; 0 for none.
    """

    lr: float = 1e-2
    decay: float = 0.99
    eps: float = 1e-8
    momentum: float = 0.0

    def check(self) -> None:
        super().check()
        _check_shares(self, "decay", "momentum")

    def direction(self) -> optax.GradientTransformation:
        return self._scaled(self.momentum)

    def cycled(self, momentum: Float[Array, ""]) -> optax.GradientTransformation:
        return self._scaled(momentum)

    def _scaled(self, momentum: float | Float[Array, ""]) -> optax.GradientTransformation:
        scaled = optax.scale_by_rms(self.decay, self.eps, eps_in_sqrt=False)
        return optax.chain(scaled, optax.trace(momentum)) if self.momentum else scaled


@dataclass(frozen=True, kw_only=True)
class Lion(Optimizer):
    """Chen et al. 2023, algorithm 2: the sign of a mean of gradients, so that all parameters move by the rate alike.

    A step is larger than Adam's at the same rate: the authors take 3 to 10 times less rate, and as much more decay.
    b1: share of the moving mean in the direction, the gradient having the rest. b2: share of the mean that is kept.
    """

    lr: float = 1e-4
    weight_decay: float = 0.1
    b1: float = 0.9
    b2: float = 0.99

    def check(self) -> None:
        super().check()
        _check_shares(self, "b1", "b2")

    def direction(self) -> optax.GradientTransformation:
        return optax.scale_by_lion(self.b1, self.b2)

    def cycled(self, momentum: Float[Array, ""]) -> optax.GradientTransformation:
        return optax.scale_by_lion(momentum, self.b2)


def _check_shares(optimizer: Optimizer, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(optimizer, name) < 1:
            raise UserError(
                f"{type(optimizer).__name__}.{name}: expected a share in [0, 1), found {getattr(optimizer, name)}"
            )

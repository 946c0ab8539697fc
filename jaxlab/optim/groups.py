"""One optimizer over groups of parameters that start to train at different steps, each at a rate of its own.

Not `optax.partition`: that updates every group at every step, so Adam's count of one that starts later would run from
the first; `conditionally_transform` inside it stops that, at the price of zeros as gradients for all that is frozen and
of other names for the state's leaves, with which no older checkpoint could be restored.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import optax
from jaxtyping import Array, Float

from jaxlab.core.tree import Flat
from jaxlab.optim.optimizers import Optimizer


@dataclass(frozen=True)
class Groups:
    """groups: {path: factor of the learning rate}, one a start. A parameter in none has no optimizer state.

    spared: last names of parameters that are not decayed, see `undecayed`.

    Each group has a state, and so Adam's count, of its own, which is as at first until the group has gradients.
    """

    optimizer: Optimizer
    groups: tuple[Mapping[str, float], ...]
    spared: Collection[str]

    def init(self, params: Flat) -> tuple[Any, ...]:
        """The state before the first step; its structure never changes."""
        transform = self.optimizer.build(self.spared)
        return tuple(transform.init({path: params[path] for path in group}) for group in self.groups)

    def update(
        self,
        grads: Flat,
        state: tuple[Any, ...],
        params: Flat,
        rate: Float[Array, ""],
        momentum: Float[Array, ""] | None = None,
    ) -> tuple[Flat, tuple[Any, ...]]:
        """p -= rate * factor * (direction + weight_decay * p) for the groups that have gradients.

        The gradient is clipped over all of them together. momentum: that of now, where a schedule gives one.
        Returns all of `params`, and the new state.
        """
        clip, transform = self.optimizer.clip(), self.optimizer.build(self.spared, momentum)
        grads, _ = clip.update(grads, clip.init(grads))
        params, states = dict(params), list(state)
        for k, group in enumerate(self.groups):
            if not group.keys() <= grads.keys():
                continue
            own = {path: params[path] for path in group}
            new = {path: grads[path] for path in group}
            updates, states[k] = transform.update(new, state[k], own)
            scaled = {path: -(rate * factor) * updates[path] for path, factor in group.items()}
            params |= optax.apply_updates(own, scaled)
        return params, tuple(states)

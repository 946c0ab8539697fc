"""How a soup is made: parameters added up one checkpoint after another, and the greedy choice among them."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self, TypeVar

import jax
import numpy as np

from jaxlab.runs.network.run import NetworkRun
from jaxlab.runs.soup.members import SoupMember
from jaxlab.training.state import Variables, norms

M = TypeVar("M")
S = TypeVar("S")


def greedily(
    members: Iterable[M], start: Callable[[M], S], add: Callable[[S, M], S], score: Callable[[S], float]
) -> tuple[S, list[M]]:
    """The greedy soup of `members`, best first, and those that are in it (Wortsman et al. 2022, recipe 1).

    The first is taken, and each other where the soup's score, of which more is better, does not fall with it; a score
    of -inf is none.
    """
    rest = iter(members)
    taken = [next(rest)]
    made = start(taken[0])
    best = score(made)
    for member in rest:
        candidate = add(made, member)
        value = score(candidate)
        if value >= best and value > -math.inf:
            made, best = candidate, value
            taken.append(member)
    return made, taken


@dataclass(frozen=True)
class ParameterAverage:
    """The sum of so many members' variables, in float64 on the host: as much memory for many as for one.

    run: measures and scores it. frozen_norms: paths of the batch norms whose statistics are the same in all members.
    """

    run: NetworkRun
    frozen_norms: frozenset[str]
    total: Variables
    count: int = 1

    @classmethod
    def of(cls, run: NetworkRun, frozen_norms: frozenset[str], member: SoupMember) -> Self:
        """Of one member."""
        wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), member.variables())
        return cls(run, frozen_norms, wide)

    def add(self, member: SoupMember) -> Self:
        """With one more."""
        total = jax.tree.map(np.add, self.total, member.variables())
        return replace(self, total=total, count=self.count + 1)

    @property
    def measured(self) -> frozenset[str]:
        """The batch norms whose statistics are measured anew: a member alone keeps its own."""
        return norms(self.total.stats) - self.frozen_norms if self.count > 1 else frozenset()

    @cached_property
    def variables(self) -> Variables:
        """The mean in float32, with its batch-norm statistics, on the devices."""
        mean = jax.tree.map(lambda leaf: (leaf / self.count).astype(np.float32), self.total)
        variables = self.run.put(mean)
        return self.run.measure(variables, self.frozen_norms) if self.measured else variables

    @cached_property
    def scores(self) -> dict[str, float]:
        """On the first member's validation images."""
        return self.run.score(self.variables, "validation")

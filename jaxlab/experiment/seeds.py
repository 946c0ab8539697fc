"""An experiment once for each of several seeds: how much of a score is chance."""

import contextlib
from dataclasses import dataclass, field, replace
from typing import Any, Self

from jaxlab.core.config import AMOUNT, Component
from jaxlab.core.types import UserError
from jaxlab.experiment.experiment import Experiment
from jaxlab.experiment.study import Study, innermost

MOST = 10_000  # networks to train
_SEEDS = 2**32


@dataclass(frozen=True, kw_only=True)
class Seeds(Study):
    """`experiment` trained once with each of `seeds` seeds: its own `seed`, the next number, and so on.

    A seed draws first parameters, the order of samples, augmentation and dropout. Which samples are for validation it
    does not: a split has a seed of its own, which stays unless `vary` names it.
    experiment: an Experiment, or Folds of one.
    seeds: how many. More of them later train those that are missing, in the same directory.
    vary: further fields that take each seed, as "split.seed", or "data.seed" of simulated data.
    """

    experiment: Component = Experiment()
    seeds: int = field(default=5, metadata=AMOUNT)
    vary: tuple[str, ...] = ()

    def check(self) -> None:
        if not 1 <= self.seeds <= MOST:
            raise UserError(f"Seeds.seeds: expected 1 to {MOST:,}, found {self.seeds!r:.60}")
        inner = innermost(self.experiment)
        if not isinstance(inner, Experiment):
            raise UserError(
                f"Seeds: expected experiment=Experiment(...), or Folds of one, found {type(inner).__name__}(...), in "
                "which nothing is drawn by a seed"
            )
        if inner.seed + self.seeds > _SEEDS:
            raise UserError(
                f"Seeds: expected seeds below 2**32, found {self.seeds} from {inner.seed} on; set seed lower"
            )
        if "seed" in self.vary:
            raise UserError("Seeds.vary: expected fields beside seed, which takes each seed anyway")
        self.seeded(inner.seed)

    @property
    def numbers(self) -> range:
        """The seeds."""
        first = innermost(self.experiment).seed
        return range(first, first + self.seeds)

    def seeded(self, seed: int) -> Any:
        """The experiment with that seed. Raises UserError for a field of `vary` that is none."""
        try:
            return self.experiment.overridden([f"{name}={seed}" for name in ("seed", *self.vary)])
        except UserError as error:
            raise UserError(f"Seeds.vary: {str(error).removeprefix('--set ')}") from None

    def variants(self) -> dict[str, Any]:
        return {f"seed{seed}": self.seeded(seed) for seed in self.numbers}

    def title(self, number: int) -> str:
        return f"seed {self.numbers[number]} ({number + 1} of {self.seeds})"

    def of(self, experiment: Component) -> Self:
        """Without the fields of `vary` that it has not."""
        kept = []
        for name in self.vary:
            with contextlib.suppress(UserError):
                experiment.overridden([f"{name}=0"])
                kept.append(name)
        return replace(self, experiment=experiment, vary=tuple(kept))

    def fewer(self) -> Self:
        """Two seeds."""
        return replace(self, seeds=min(self.seeds, 2))


def over_seeds(experiment: Component, seeds: int | None, vary: tuple[str, ...] = ()) -> Any:
    """`experiment` with so many seeds, and further fields that take them; itself where neither is asked for.

    Raises UserError for fields without seeds, and for an experiment that has no use for seeds.
    """
    if seeds is None and vary and not isinstance(experiment, Seeds):
        raise UserError(f"--vary {vary[0]}: expected --seeds N too, the seeds that it takes")
    if isinstance(experiment, Seeds):
        return replace(experiment, seeds=seeds or experiment.seeds, vary=vary or experiment.vary)
    return experiment if seeds is None else Seeds(experiment=experiment, seeds=seeds, vary=vary)

"""An experiment whole, and without each of its parts in turn: what each is worth."""

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Self

from jaxlab.core.config import AMOUNT, Component
from jaxlab.core.types import UserError
from jaxlab.experiment.experiment import Experiment
from jaxlab.experiment.parts import Off, parts_on
from jaxlab.experiment.seeds import Seeds
from jaxlab.experiment.study import Study, check_same_samples, innermost, rewritten
from jaxlab.experiment.switched import switched

WHOLE = "whole"
_WITHOUT = "without-"


@dataclass(frozen=True, kw_only=True)
class Ablation(Study):
    """`experiment` whole, and once without each part in `off`, each over the same seeds: `Seeds` in directories of it.

    A part's worth is the score of the whole minus that without it, seed by seed.
    experiment: an Experiment, or Folds of one.
    off: {part: settings that switch it off}, as {"augment": ("augment=()",), "schedule":
        ("optimizer.schedule=Constant()",)}. Default: those of augmentation, balance, mixing, further channels, averaged
        parameters, SAM, clipping, decay, pretrained weights, dropout, smoothed labels, class weights, a schedule and
        further terms of a loss that the experiment has.
    seeds: how many each. More of them later train those that are missing.
    """

    experiment: Component = Experiment()
    off: Off = field(default_factory=dict, hash=False)
    seeds: int = field(default=5, metadata=AMOUNT)

    def check(self) -> None:
        self._over(self.experiment)  # which says what it is of, and how many
        if not self.off:  # found now: another version may find others
            object.__setattr__(self, "off", parts_on(innermost(self.experiment)))
        if not self.off:
            raise UserError(
                "Ablation: nothing that can be switched off is on; name what is, off={'loss': ('loss=Mse()',)}, or "
                "--off FIELD=VALUE"
            )
        made: dict[str, Any] = {}
        for name in self.off:
            if re.fullmatch(r"[A-Za-z0-9][\w.-]*", name) is None or name in ("type", WHOLE):
                raise UserError(
                    f"Ablation.off: expected names of letters and digits, not {WHOLE} or type, found {name!r:.60}"
                )
            without = self.without(name)
            if same := [other for other, one in made.items() if one == without]:
                raise UserError(
                    f"Ablation.off: expected parts that differ, found {same[0]!r} and {name!r} the same"
                )
            made[name] = without

    def without(self, part: str) -> Any:
        """The experiment without it. Raises UserError where the settings are wrong, or change nothing."""
        fields = [setting.partition("=")[0] for setting in self.off[part]]
        check_same_samples(self.experiment, fields, f"Ablation.off, {part!r}")
        if "seed" in fields:
            raise UserError(f"Ablation.off, {part!r}: expected the seeds of the whole, found others, seed")
        try:
            found = rewritten(self.experiment, lambda one: switched(one, self.off[part]))
        except UserError as error:
            raise UserError(f"Ablation.off, {part!r}: {error}") from None
        if found == self.experiment:
            raise UserError(
                f"Ablation.off, {part!r}: {', '.join(self.off[part]) or 'it'} changes nothing: it is off"
            )
        return found

    def variants(self) -> dict[str, Any]:
        """{"whole": Seeds of it, "without-PART": Seeds of that}."""
        each = {f"{_WITHOUT}{part}": self.without(part) for part in self.off}
        return {name: self._over(one) for name, one in {WHOLE: self.experiment, **each}.items()}

    def _over(self, experiment: Component) -> Seeds:
        return Seeds(experiment=experiment, seeds=self.seeds)

    def title(self, number: int) -> str:
        return f"{list(self.variants())[number]} ({number + 1} of {1 + len(self.off)})"

    def of(self, experiment: Component) -> Self:
        """Without the parts that it has not."""
        kept: Off = {}
        for part, settings in self.off.items():
            with contextlib.suppress(UserError):
                kept |= replace(self, experiment=experiment, off={part: settings}).off
        return replace(self, experiment=experiment, off=kept)

    def fewer(self) -> Self:
        """One part and one seed."""
        part = next(iter(self.off))
        return replace(self, off={part: self.off[part]}, seeds=1)


def part_of(variant: str) -> str:
    """The part that a variant lacks; "whole" of the whole."""
    return variant.removeprefix(_WITHOUT)


def ablated(experiment: Component, off: Iterable[str], seeds: int | None) -> Ablation:
    """`experiment`, or an Ablation with other parts and seeds. off: `FIELD=VALUE`, or `PART:FIELD=VALUE`.

    A part is named after the last of its field's names. Raises UserError for what is neither, and as Ablation does.
    """
    named: dict[str, tuple[str, ...]] = {}
    for one in off:
        found = re.fullmatch(r"(?:([A-Za-z0-9][\w.-]*):)?(([\w.]+)=.*)", one, re.DOTALL)
        if found is None:
            raise UserError(f"--off {one}: expected FIELD=VALUE, as augment=(), or PART:FIELD=VALUE")
        part = found[1] or found[3].rpartition(".")[2]
        part = part if found[1] or part not in named else found[3]
        named[part] = (*named.get(part, ()), found[2])
    if isinstance(experiment, Ablation):
        return replace(experiment, off=named or experiment.off, seeds=seeds or experiment.seeds)
    if isinstance(experiment, Seeds):
        if experiment.vary:
            raise UserError("ablate: expected seeds of the experiment alone, found Seeds with vary")
        return ablated(experiment.experiment, off, seeds or experiment.seeds)
    return Ablation(experiment=experiment, off=named, **({} if seeds is None else {"seeds": seeds}))

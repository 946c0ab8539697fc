"""Fine-tuning: which parameters train, from when and at which rate; and what that makes of a network."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal, Self

from jaxlab.core.config import Component
from jaxlab.core.types import UserError
from jaxlab.optim.tuning import Tuning


@dataclass(frozen=True, kw_only=True)
class Freeze(Component):
    """Parameters that do not train: no gradient is computed for them, and they have no optimizer state.

    pattern: a regular expression found anywhere in a parameter's path (`re.search`), as `^backbone\\.` or `bn1`.
    through: a layer of the backbone: all of its parameters and those of the layers before it; of two encoders side by
        side ("image/...", "text/..."), of those of its own.
    until_epoch: after so many epochs they start to train, at what the schedule's rate then is; None: never.
    """

    pattern: str | None = None
    through: str | None = None
    until_epoch: float | None = None

    def check(self) -> None:
        if (self.pattern is None) == (self.through is None):
            raise UserError(
                f"Freeze: expected pattern or through, found pattern={self.pattern!r}, through={self.through!r}"
            )
        _check_pattern("Freeze", self.pattern)
        if self.until_epoch is not None and self.until_epoch <= 0:
            raise UserError(f"Freeze.until_epoch: expected more than 0, found {self.until_epoch}")


@dataclass(frozen=True, kw_only=True)
class Rate(Component):
    """Parameters whose learning rate is multiplied by `factor`, besides what their layer gives.

    factor: more than 0. pattern: as in Freeze. With factor=1.0, before a Freeze: parameters that it spares.
    """

    pattern: str
    factor: float

    def check(self) -> None:
        _check_pattern("Rate", self.pattern)
        if self.factor <= 0:
            raise UserError(f"Rate.factor: expected more than 0 (Freeze stops training), found {self.factor}")


def _check_pattern(name: str, pattern: str | None) -> None:
    try:
        re.compile(pattern or "")
    except re.error as error:
        raise UserError(
            f"{name}.pattern: expected a regular expression, found {pattern!r} ({error})"
        ) from None


Rule = Freeze | Rate
_SIDE_BY_SIDE = {"image", "text"}  # before the slash, in the names of layers of two encoders


@dataclass(frozen=True, kw_only=True)
class FineTune(Component):
    """rules: the first that matches a parameter decides. Each must decide one at least.

    layer_decay: the rate of a layer is multiplied by layer_decay ** (layers after it, the head counted; Clark et al.
        2020, Bao et al. 2022). Layers are the backbone's named features that have parameters and lead to the head:
        a last norm with a feature of its own, as a ViT's, is one too. Of two encoders side by side, those of the other
        are not after it.
    head_rate: factor of the head's rate.
    statistics: of the backbone's batch norms: "frozen" keeps the pretrained running statistics, and uses them in
        training too. Those of a batch norm whose parameters are frozen are so in any case: it computes what it did.

    Parameters on which no output depends (of layers behind the one that the head reads) never train.

    A linear probe, fine-tuned as a whole after five epochs:
        FineTune(rules=(Freeze(pattern=r"^backbone\\.", until_epoch=5),))
    Unfrozen from the top (Howard & Ruder 2018), the stem never:
        FineTune(rules=(Freeze(through="stem"), Freeze(through="layer2", until_epoch=4),
                        Freeze(through="layer4", until_epoch=2)))
    """

    rules: tuple[Rule, ...] = ()
    layer_decay: float = 1.0
    head_rate: float = 1.0
    statistics: Literal["train", "frozen"] = "train"

    def check(self) -> None:
        if not 0 < self.layer_decay <= 1:
            raise UserError(
                f"FineTune.layer_decay: expected more than 0 and at most 1, found {self.layer_decay}"
            )
        if self.head_rate <= 0:
            raise UserError(f"FineTune.head_rate: expected more than 0, found {self.head_rate}")

    def smoke(self) -> Self:
        """The same with all that starts later starting after the first of two steps."""
        rules = tuple(
            replace(rule, until_epoch=0.5) if isinstance(rule, Freeze) and rule.until_epoch else rule
            for rule in self.rules
        )
        return replace(self, rules=rules)

    def resolve(
        self,
        layers: Sequence[str],
        layer_of: Mapping[str, str],
        unread: Collection[str] = (),
        epochs: float = float("inf"),
        fixed: Collection[str] = (),
    ) -> Tuning:
        """What the rules make of a network's parameters.

        layers: their names in order, the readout last. layer_of: each parameter's, by path. unread: parameters on which
        no output depends. epochs: the run's length. fixed: parameters that never train, whatever rules say.
        Raises UserError that names every rule that decides nothing, names no layer or starts too late; and where
        nothing trains at first.
        """
        decided = self._decide(layers, layer_of, epochs)
        by_layer = self._layer_factors(layers, [layer_of[path] for path in layer_of if path not in unread])
        factor, start = {}, {}
        for path in (path for path in layer_of if path not in unread and path not in fixed):
            rule = decided[path]
            after = rule.until_epoch if isinstance(rule, Freeze) else 0.0
            if after is not None:
                start[path] = after
                own = rule.factor if isinstance(rule, Rate) else 1.0
                factor[path] = by_layer[layer_of[path]] * own
        if 0.0 not in start.values():
            later = f" before epoch {min(start.values()):g} has ended" if start else ""
            raise UserError(
                f"FineTune.rules: nothing trains{later}: they freeze all {len(decided)} parameters"
            )
        return Tuning(factor, start, self.statistics == "frozen")

    def _layer_factors(self, layers: Sequence[str], used: Collection[str]) -> dict[str, float]:
        *backbone, readout = [layer for layer in layers if layer in used]
        after = {
            layer: 1 + sum(_follows(other, layer) for other in backbone[k + 1 :])
            for k, layer in enumerate(backbone)
        }
        return {
            **{layer: self.layer_decay**count for layer, count in after.items()},
            readout: self.head_rate,
        }

    def _decide(
        self, layers: Sequence[str], layer_of: Mapping[str, str], epochs: float
    ) -> dict[str, Rule | None]:
        """The rule of each parameter."""
        decided: dict[str, Rule | None] = dict.fromkeys(layer_of)
        left, problems = set(layer_of), []
        for number, rule in enumerate(self.rules):
            name = f"FineTune.rules.{number}, {_shown(rule)},"
            if isinstance(rule, Freeze) and rule.through is not None and rule.through not in layers[:-1]:
                problems.append(f"{name} names no layer of the model, which has {', '.join(layers[:-1])}")
                continue
            if isinstance(rule, Freeze) and (rule.until_epoch or 0) >= epochs:
                problems.append(f"{name} lasts as long as the run, which has {epochs:g} epochs")
            matched = [path for path in layer_of if _matches(rule, path, layer_of[path], layers)]
            if not left.intersection(matched):
                problems.append(f"{name} {_nothing(matched, list(layer_of))}")
            decided.update(dict.fromkeys(left.intersection(matched), rule))
            left.difference_update(matched)
        if problems:
            raise UserError("; ".join(problems))
        return decided


def _matches(rule: Rule, path: str, layer: str, layers: Sequence[str]) -> bool:
    if rule.pattern is not None:
        return re.search(rule.pattern, path) is not None
    assert isinstance(rule, Freeze)
    assert rule.through is not None
    return layers.index(layer) <= layers.index(rule.through) and _follows(rule.through, layer)


def _follows(later: str, earlier: str) -> bool:
    """Of two layers in order, whether the first is made of the second: those of other encoders are not."""
    own, other = (layer.partition("/")[0] for layer in (earlier, later))
    return {own, other} != _SIDE_BY_SIDE


def _nothing(matched: Sequence[str], paths: Sequence[str]) -> str:
    if matched:
        return f"comes too late: earlier rules decide on the {len(matched)} parameters that it matches"
    examples = dict.fromkeys((paths[0], paths[len(paths) // 2], paths[-1]))
    return f"matches none of the {len(paths)} parameters, such as {', '.join(examples)}"


def _shown(rule: Rule) -> str:
    given = {f.name: getattr(rule, f.name) for f in fields(rule) if getattr(rule, f.name) != f.default}
    return f"{type(rule).__name__}({', '.join(f'{name}={value!r}' for name, value in given.items())})"

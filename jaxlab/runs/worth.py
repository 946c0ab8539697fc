"""What parts are worth: scores of the whole minus those without each, paired by seed; as lines and in the terminal."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rich.console import Console

from jaxlab.core.intervals import Paired, interval, paired
from jaxlab.core.score_tables import score_tables
from jaxlab.core.words import counted
from jaxlab.experiment.ablation import WHOLE
from jaxlab.runs.scored import Key, Row, by_key

COLUMNS = ("part", "checkpoint", "split", "class", "score", "whole", "without", *Paired._fields)
_SPLITS = ("validation", "out_of_fold", "test")  # what is new to the networks


class Difference(NamedTuple):
    """A line of worth.csv. whole, without: means over the seeds that have the score on that side."""

    part: str
    checkpoint: str
    split: str
    of_class: str
    score: str
    whole: float
    without: float
    n: int
    mean: float
    sd: float
    low: float
    high: float
    p_t: float
    p_wilcoxon: float


def differences(parts: Mapping[str, Sequence[Row]]) -> list[Difference]:
    """Of each part and score, over the seeds that both sides have. parts: {part, "whole" among them: its scores}."""
    whole = by_key(parts[WHOLE])
    found = []
    for part, rows in parts.items():
        for key, without in by_key(rows).items() if part != WHOLE else ():
            if key in whole:
                one, other = (interval(list(side.values())).mean for side in (whole[key], without))
                compared: Any = paired(*_pairs(whole[key], without))
                found.append(Difference(part, *key, one, other, *compared))
    return found


def _pairs(one: Mapping[str, float], other: Mapping[str, float]) -> tuple[list[float], list[float]]:
    common = [seed for seed in one if seed in other]
    return [one[seed] for seed in common], [other[seed] for seed in common]


def by_part(parts: Mapping[str, Sequence[Row]], key: Key) -> dict[str, list[float]]:
    """{part: its differences, one a seed}, what adds most first."""
    whole = by_key(parts[WHOLE])[key]
    found = {}
    for part, rows in parts.items():
        if part != WHOLE:
            one, other = _pairs(whole, by_key(rows).get(key, {}))
            found[part] = [a - b for a, b in zip(one, other, strict=True)]
    return dict(sorted(found.items(), key=lambda item: -_or_lowest(interval(item[1]).mean)))


def _or_lowest(value: float) -> float:
    return value if math.isfinite(value) else -math.inf


def places(parts: Mapping[str, Sequence[Row]], headline: str) -> list[tuple[str, str]]:
    """(checkpoint, split) of what is new to the networks, where the whole has that score."""
    known = [key[:2] for key in by_key(parts[WHOLE]) if key[2:] == ("", headline)]
    return [(which, split) for which in ("best", "last") for split in _SPLITS if (which, split) in known]


def show(console: Console, parts: Mapping[str, Sequence[Row]], headline: str) -> None:
    """A line for each part, a column for each checkpoint and split: the mean difference and its 95 % interval."""
    columns = places(parts, headline)
    found = {
        (one.part, one.checkpoint, one.split): one for one in differences(parts) if one[3:5] == ("", headline)
    }
    order = by_part(parts, (*columns[0], "", headline)) if columns else {}
    seeds = len({row.variant for row in parts[WHOLE]})
    whole = by_key(parts[WHOLE])
    lines = [("the whole", {place: f"{_mean(whole[(*place, '', headline)]):.4f}" for place in columns})]
    lines += [(part, {place: _cell(found.get((part, *place))) for place in columns}) for part in order]
    rows = [
        ((part,), {f"{split}, {which}": cells[which, split] for which, split in columns})
        for part, cells in lines
    ]
    title = f"{headline}, whole minus without: mean of {counted(seeds, 'seed')} ± half the 95 % interval"
    for table in score_tables(console, ("part",), rows, title):
        console.print(table)
    console.print("*: the interval does not hold 0", markup=False)
    if seeds == 1:
        console.print("of one seed there is no interval: give --seeds 2 or more", soft_wrap=True)


def _mean(values: Mapping[str, float]) -> float:
    return interval(list(values.values())).mean


def _cell(one: Difference | None) -> str:
    if one is None or not one.n:
        return "undefined"
    if one.n == 1:
        return f"{one.mean:+.4f}"
    clear = "*" if one.low > 0 or one.high < 0 else " "
    return f"{one.mean:+.4f} ± {one.high - one.mean:.4f}{clear}"

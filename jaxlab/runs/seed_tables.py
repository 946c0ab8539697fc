"""Scores over seeds in the terminal: mean, standard deviation and 95 % interval, by split and by class."""

import math
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jaxlab.core.intervals import Interval, interval
from jaxlab.core.score_tables import score_tables
from jaxlab.core.words import counted
from jaxlab.data.source import examples
from jaxlab.runs.scored import OVERALL, Key, Row, by_key, summed
from submit.metrics.table import SCORES

_MOST_SEEDS, _MOST_CLASSES = 40, 20  # of which each has a line
_RATES = ("precision", "recall", "f1")


def show(console: Console, rows: Sequence[Row], headline: str) -> None:
    """All of it. headline: the score of which each seed has a line."""
    found, seeds = summed(rows), list(dict.fromkeys(row.variant for row in rows))
    say = console.print
    if 1 < len(seeds) <= _MOST_SEEDS:
        for table in score_tables(console, ("seed",), _by_seed(rows, headline), f"{headline} of each seed"):
            say(table)
    title = f"{counted(len(seeds), 'seed')}: mean, standard deviation, 95 % interval of the mean"
    for table in score_tables(console, ("split", ""), list(_over_seeds(found)), title):
        say(table)
    for table in _by_class(found):
        say(table)
    for line in _undefined(found, len(seeds)):
        say(line, highlight=False, markup=False, soft_wrap=True)
    if len(seeds) == 1:
        say(
            "of one seed there is no standard deviation and no interval: give --seeds 2 or more",
            soft_wrap=True,
        )
    if any(split == "train" for _, split, *_ in found):
        say(
            "train: as each network learned, with augmentation and dropout, over its last epoch",
            soft_wrap=True,
        )


def line(rows: Sequence[Row], headline: str) -> str:
    """A score by split in a line: what stands for all of it where the study is one of several."""
    found = {title: interval(list(values.values())) for title, values in by_split(rows, headline).items()}
    each = [
        f"{title} {_text(one.mean)}{f' ± {_text(one.sd)}' if one.n > 1 else ''}"
        for title, one in found.items()
    ]
    return f"{headline} {'; '.join(each) or 'undefined'} (mean ± sd)"


def by_split(rows: Sequence[Row], score: str) -> dict[str, dict[str, float]]:
    """{"validation, best": {variant: value}} of a score, where it is defined of some."""
    return {
        _title(which, split): values
        for (which, split, of_class, name), values in by_key(rows).items()
        if name == score and of_class == OVERALL and any(map(math.isfinite, values.values()))
    }


def _title(checkpoint: str, split: str) -> str:
    return f"{split}, {checkpoint}"


def _by_seed(rows: Sequence[Row], headline: str) -> list[tuple[tuple[str], dict[str, str]]]:
    columns = by_split(rows, headline)
    seeds = dict.fromkeys(name for values in columns.values() for name in values)
    return [
        ((seed,), {title: _text(values.get(seed, math.nan)) for title, values in columns.items()})
        for seed in seeds
    ]


def _over_seeds(found: Mapping[Key, Interval]) -> Iterator[tuple[tuple[str, str], dict[str, str]]]:
    """Three lines for each checkpoint and split; of one seed but the first."""
    places = dict.fromkeys((which, split) for which, split, of_class, _ in found if of_class == OVERALL)
    for which, split in places:
        scores = {
            name: one
            for (*place, of_class, name), one in found.items()
            if place == [which, split] and of_class == OVERALL and one.n and not _is_idle(name, one)
        }
        yield (_title(which, split), "mean"), {name: _text(one.mean) for name, one in scores.items()}
        if any(one.n > 1 for one in scores.values()):
            yield ("", "sd"), {name: _text(one.sd) for name, one in scores.items()}
            yield ("", "95 %"), {name: f"±{_text(one.high - one.mean)}" for name, one in scores.items()}


def _is_idle(name: str, one: Interval) -> bool:
    """Whether it is a count of what has not happened."""
    return SCORES[name].better is None and one.mean == 0 if name in SCORES else False


def _by_class(found: Mapping[Key, Interval]) -> Iterator[Table]:
    """A table for each split: a line a class, the three rates. Recall is the class's own accuracy."""
    splits = dict.fromkeys((which, split) for which, split, of_class, _ in found if of_class != OVERALL)
    for which, split in splits:
        classes = dict.fromkeys(
            of_class for *place, of_class, _ in found if place == [which, split] and of_class != OVERALL
        )
        if len(classes) > _MOST_CLASSES:
            continue
        table = Table(
            "class", "precision", "recall", "F1", title=f"{_title(which, split)}: by class, mean ± sd",
            title_justify="left", box=None,
        )  # fmt: skip
        for name in classes:
            cells = (found.get((which, split, name, rate)) for rate in _RATES)
            table.add_row(Text(name), *(_cell(one) for one in cells))
        yield table


def _cell(one: Interval | None) -> str:
    if one is None or not one.n:
        return ""
    return _text(one.mean) if one.n == 1 else f"{_text(one.mean)} ± {_text(one.sd)}"


def _undefined(found: Mapping[Key, Interval], seeds: int) -> Iterator[str]:
    """A line for the scores of a split that some seeds, or all, do not have."""
    names: dict[tuple[str, int], list[str]] = {}
    for (which, split, of_class, name), one in found.items():
        if one.n < seeds:
            of = f" of {of_class}" if of_class else ""
            names.setdefault((_title(which, split), one.n), []).append(f"{name}{of}")
    for (title, defined), scores in names.items():
        rest = "left out" if defined == 0 else "left out of the mean there"
        yield f"{title}: undefined in {seeds - defined} of {counted(seeds, 'seed')}, {rest}: {examples(scores)}"


def _text(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else ""

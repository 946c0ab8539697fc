"""How training went: losses, scores, learning rate, gradients, from metrics.jsonl's records."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jaxlab.report import frame
from jaxlab.report.drawing import AFTER, BEFORE, Picture, canvas, label
from jaxlab.report.results.reading import Reading
from jaxlab.report.results.section import Part, Section, begun, missing, paragraph
from jaxlab.training.notices import in_short
from submit.metrics.table import SCORES

_BINS = 300
Records = Sequence[Mapping[str, Any]]


def section(reading: Reading) -> Section | None:
    """None of what was not trained step by step."""
    of = {
        split: [one for one in reading.records if one["split"] == split]
        for split in ("step", "train", "validation")
    }
    if not of["step"] and len(of["validation"]) < 2:
        return None
    return Section("Training", tuple(_parts(reading, of)))


def _parts(reading: Reading, of: Mapping[str, Records]) -> Iterator[Part]:
    if reading.notices:
        yield _amiss(reading)
    yield _curve("loss", "Loss", "loss", of, "loss", steps="loss")
    if not of["validation"]:
        yield from missing(["No scores by epoch: nothing was validated."])
    elif reading.headline is not None:
        yield _score(reading, of)
    for name, words in (
        ("learning_rate", "Learning rate"),
        ("gradient_norm", "Length of the gradient, each step"),
    ):
        if any(one.get(name) is not None for one in of["step"]):
            yield _stepwise(name, words, of["step"])
    spread = SCORES["spread_ratio_median"].name
    if any(one.get(spread) is not None for one in of["validation"]):
        yield _curve(
            "spread-by-epoch",
            "Spread of predictions, median over targets; 1 is that of the truth",
            spread,
            of,
            "sd ratio",
        )
    names = dict.fromkeys(name for one in of["validation"] for name in one if name.endswith("/loss"))
    if names:
        yield from _objectives([name.removesuffix("/loss") for name in names], of)


def _amiss(reading: Reading) -> str:
    """What was noticed, of each kind the last."""
    rows = [
        (f"{one['step']:,}", f"{one['epoch']:,}", f"{one['times']:,}", begun(one["text"]))
        for one in in_short(reading.notices)
    ]
    return paragraph("What was amiss while it trained:") + frame.table(
        ("last at step", "epoch", "times", "what"), rows
    )


def _curve(
    name: str, words: str, score: str, of: Mapping[str, Records], label: str, steps: str = ""
) -> Picture:
    with canvas("step", label) as (figure, axes):
        if steps:
            axes.plot(*thinned(of["step"], steps), color="0.8", lw=0.8, label="each step")
        for split, colour in (("train", BEFORE), ("validation", AFTER)):
            x, y = xy(of[split], score)
            axes.plot(x, y, color=colour, label=split, marker="." if len(x) < 40 else None, ms=4)
        axes.legend()
    return Picture(name, words + ("" if not steps else " of each step and epoch"), figure)


def _score(reading: Reading, of: Mapping[str, Records]) -> Picture:
    score = reading.headline
    assert score is not None
    with canvas("step", score.label) as (figure, axes):
        for split, colour in (("train", BEFORE), ("validation", AFTER)):
            axes.plot(*xy(of[split], score.name), color=colour, label=split)
        if reading.score is not None:
            axes.plot(
                [reading.best_step], [reading.score], "o", color=AFTER, label=f"best {reading.score:.4f}"
            )
        axes.legend()
    return Picture("score", f"{begun(score.label)} by epoch", figure)


def _stepwise(name: str, words: str, records: Records) -> Picture:
    x, y = thinned(records, name)
    with canvas("step", name.replace("_", " ")) as (figure, axes):
        axes.plot(x, y, color="#1b7837", lw=1)
        if name == "gradient_norm" and len(y) and min(y) > 0 and max(y) > 50 * min(y):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter("")
    return Picture(name.replace("_", "-"), words, figure)


def _objectives(names: Sequence[str], of: Mapping[str, Records]) -> Iterator[Picture]:
    with canvas("step", "loss") as (figure, axes):
        for number, name in enumerate(names):
            axes.plot(*xy(of["train"], f"{name}/loss"), color=f"C{number}", ls="--", lw=0.8)
            axes.plot(*xy(of["validation"], f"{name}/loss"), color=f"C{number}", label=label(name))
        axes.legend()
    yield Picture("objective-losses", "Loss of each objective; dashed: training", figure)
    if any(f"{name}/gradient_norm" in one for one in of["train"] for name in names):
        with canvas("step", "length") as (figure, axes):
            for number, name in enumerate(names):
                axes.plot(*xy(of["train"], f"{name}/gradient_norm"), color=f"C{number}", label=label(name))
            axes.legend()
        yield Picture("objective-gradients", "Gradient of each objective on the backbone", figure)
    after = "/gradient_cosine"
    pairs = dict.fromkeys(name for one in of["train"] for name in one if name.endswith(after))
    if pairs:
        with canvas("step", "cosine") as (figure, axes):
            axes.axhline(0, color="0.8", lw=0.8)
            for name in pairs:
                both = name.removesuffix(after).replace("/", " and ")
                axes.plot(*xy(of["train"], name), label=label(both))
            axes.set(ylim=(-1.05, 1.05))
            axes.legend()
        yield Picture(
            "objective-cosines", "Cosine between the objectives' gradients: below 0 they disagree", figure
        )


def xy(records: Records, name: str) -> tuple[list[int], list[float]]:
    """Steps and values, where these were defined."""
    kept = [one for one in records if one.get(name) is not None]
    return [one["step"] for one in kept], [one[name] for one in kept]


def thinned(records: Records, name: str, bins: int = _BINS) -> tuple[list[int], list[float]]:
    """The same, of many steps the lowest and the highest value of each of `bins` stretches."""
    steps, values = map(np.asarray, xy(records, name))
    if len(steps) > 2 * bins:
        parts = np.array_split(np.arange(len(steps)), bins)
        kept = sorted({int(part[of(values[part])]) for part in parts for of in (np.argmin, np.argmax)})
        steps, values = steps[kept], values[kept]
    return steps.tolist(), values.tolist()

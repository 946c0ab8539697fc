"""Variants of an experiment over seeds, each in a directory of its own, so that what is there is not trained again."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import jaxlab
from jaxlab.core.config import to_json
from jaxlab.experiment import Experiment
from submit.files.atomic import atomic

Scores = dict[str, float]


def measured(
    variants: Mapping[str, Experiment], seeds: int, out: Path, scores_of: Callable[[Any], Scores]
) -> dict[str, list[Scores]]:
    """{variant: the scores of each seed}. scores_of: a trained run -> its scores, which are kept as result.json."""
    found: dict[str, list[Scores]] = {}
    for seed in range(seeds):
        for name, experiment in variants.items():
            found.setdefault(name, []).append(
                _scores(replace(experiment, seed=seed), out / name / f"seed{seed}", scores_of)
            )
            write(found, out / "table.md")
    return found


def _scores(experiment: Experiment, folder: Path, scores_of: Callable[[Any], Scores]) -> Scores:
    result, config = folder / "result.json", to_json(experiment)
    kept = json.loads(result.read_text("utf-8")) if result.exists() else {}
    if kept.get("config") == config:
        return kept["scores"]
    path = jaxlab.train(experiment, folder / "run", console=Console(quiet=True))
    scores = scores_of(jaxlab.load(path, trust=True))
    with atomic(result) as file:
        file.write(json.dumps({"config": config, "scores": scores}).encode())
    return scores


def write(found: Mapping[str, list[Scores]], file: Path) -> None:
    """A Markdown table of means and standard deviations over seeds."""
    header, *lines = _rows(found)
    lines = [header, ["---"] * len(header), *lines]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"| {' | '.join(line)} |\n" for line in lines), "utf-8")


def show(found: Mapping[str, list[Scores]]) -> None:
    """The same in the terminal."""
    header, *lines = _rows(found)
    table = Table(*header, box=None)
    for line in lines:
        table.add_row(*line)
    Console(width=160).print(table)


def _rows(found: Mapping[str, list[Scores]]) -> list[list[str]]:
    names = list(dict.fromkeys(name for seeds in found.values() for scores in seeds for name in scores))
    lines = [
        [name, str(len(seeds)), *(_cell(seeds, score) for score in names)] for name, seeds in found.items()
    ]
    return [["", "seeds", *names], *lines]


def _cell(seeds: list[Scores], score: str) -> str:
    values = np.array([scores[score] for scores in seeds if score in scores])
    if not len(values):
        return ""
    return f"{values.mean():.3f}" + (f" +- {values.std(ddof=1):.3f}" if len(values) > 1 else "")

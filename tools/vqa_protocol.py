"""The protocol of a lab's notebook on VQA v2: 1,000 answers, and a table of scores with a line an epoch.

    jaxlab simulate DATA --kind vqa --full
    python tools/vqa_protocol.py OUT --data DATA --epochs 6

Each variant at each learning rate is a run in OUT, and OUT/VARIANT.csv its table as the notebook has it, in percent but
for losses. Killed and started again, it trains what is missing. Features of images and questions are computed once, for
all of them. Training scores are of the network as it learns, validation scores of what it has learned.
"""

import argparse
import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from vqa_setting import answers, experiment

from jaxlab.heads import CosineAnswers
from jaxlab.losses import CrossEntropy, SoftAnswers
from jaxlab.runs import api
from jaxlab.training import journal

RATES = (1e-3, 1e-4)
VARIANTS: dict[str, Callable[[], dict[str, Any]]] = {
    "unweighted": dict,
    "weighted": lambda: {"loss": CrossEntropy(class_weight_strength=1.0)},
    "alpha05": lambda: {"loss": CrossEntropy(class_weight_strength=0.5)},
    "cosine": lambda: {"head": CosineAnswers(answers=answers())},
    "soft": lambda: {"loss": SoftAnswers()},
}
# The notebook's names of scores, and VQA accuracy, which it did not have.
_NAMES = {
    "loss": "loss",
    "accuracy": "accuracy",
    "top_5_accuracy": "top_5_accuracy",
    **{f"{rate}_{average}": f"{rate.replace('f1', 'f1_score')}_{average}"
       for rate in ("f1", "precision", "recall") for average in ("macro", "micro")},
    **{f"vqa_accuracy{kind}": f"vqa_accuracy{kind}" for kind in ("", "_yes_no", "_number", "_other")},
}  # fmt: skip
_SPLITS = {"train": "training", "validation": "validation"}
_SHOWN = ("loss", "accuracy", "top_5_accuracy", "f1_macro", "vqa_accuracy")


def epochs_of(run: Path) -> list[dict[str, float]]:
    """A row an epoch: the notebook's columns."""
    found: dict[int, dict[str, float]] = {}
    for split, before in _SPLITS.items():
        for number, record in enumerate(journal.read(run / "metrics.jsonl", split), 1):
            row = found.setdefault(number, {"epoch": number})
            row |= {
                f"{before}_{name}": record[own] if own == "loss" else 100 * record[own]
                for own, name in _NAMES.items()
                if record.get(own) is not None
            }
    return list(found.values())


def write(rows: list[dict[str, float]], path: Path) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows({name: f"{value:.10g}" for name, value in row.items()} for row in rows)


def show(tables: dict[str, list[dict[str, float]]]) -> None:
    table = Table("variant", "epoch", *(f"{name}\ntrain / val" for name in _SHOWN), box=None)
    for name, rows in tables.items():
        for row in rows:
            pairs = ((row.get(f"training_{_NAMES[k]}"), row.get(f"validation_{_NAMES[k]}")) for k in _SHOWN)
            cells = (" / ".join("-" if value is None else f"{value:.2f}" for value in pair) for pair in pairs)
            table.add_row(name, f"{row['epoch']:.0f}", *cells)
    Console(width=160).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--epochs", type=float, default=6)
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--rates", nargs="+", type=float, default=list(RATES))
    given = parser.parse_args()
    tables = {}
    for name in given.only:
        for rate in given.rates:
            run = given.out / f"{name}_lr{rate:g}"
            api.train(experiment(given.data, given.epochs, rate, **VARIANTS[name]()), run)
            tables[run.name] = epochs_of(run)
            write(tables[run.name], given.out / f"{run.name}.csv")
    show(tables)


if __name__ == "__main__":
    main()

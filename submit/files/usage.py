"""Kaggle's own form of a solution: a last column Usage, which says what each row is scored for."""

import csv
from pathlib import Path

import numpy as np

from submit.files.csv_records import header_of, is_csv, open_csv

_WORDS = ("public", "private", "ignored")
IGNORED = "Ignored"


def target_columns(header: list[str]) -> int:
    """How many of a solution's columns hold targets: all but the first, and but a last one called Usage."""
    return len(header) - 1 - (len(header) > 2 and is_usage(header[-1]))


def is_usage(name: str) -> bool:
    """Whether a column is called as the one that Kaggle adds."""
    return name.strip().lower() == "usage"


def read_usage(path: str | Path) -> dict[str, np.ndarray]:
    """Usage -> the ids of its rows, "Public" first; empty where there is no such column, or it holds other words."""
    if not is_csv(path):
        return {}
    with open_csv(path) as file:
        header = header_of(file)
        if target_columns(header) == len(header) - 1:
            return {}
        whole = (row for row in csv.reader(file) if len(row) == len(header))
        rows = [(row[0], row[-1].strip().lower()) for row in whole]  # not the thousands of cells between them
    if not all(usage in _WORDS for _, usage in rows):
        return {}
    found: dict[str, list[str]] = {}
    for name, usage in rows:
        found.setdefault(usage.capitalize(), []).append(name)
    return {name: np.array(ids, np.str_) for name, ids in sorted(found.items(), reverse=True)}

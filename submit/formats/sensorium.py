"""Sensorium 2022's CSV: a row a trial, with trial_indices, image_ids, the list of predictions, the list of neuron_ids.

As the competition's own code (github.com/sinzlab/sensorium, sensorium/utility/submission.py and eval.py) writes and
reads it: one file for each of the tiers `test` (there "live_test") and `final_test`; both lists are Python's, of
numbers below 2^63, and neurons are compared as numbers: "11" is not 11. The order of rows and of neurons is free, each
trial must be there once (3.0 is trial 3), image_ids are not looked at. Nothing there asks for predictions of at least
0, so that is not checked. Responses are those divided by each neuron's standard deviation.
"""

import ast
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from submit.alignment import align, differences
from submit.errors import SubmissionError, about, named, refuse
from submit.files.atomic import atomic
from submit.files.csv_table import read_header
from submit.files.csv_writing import number_lists
from submit.files.npy import load_npy
from submit.formats.format import Format
from submit.predictions import Predictions, names
from submit.provenance.record import keep

COLUMNS = ("trial_indices", "image_ids", "prediction", "neuron_ids")
TIERS = {"live_test": "test", "final_test": "final_test"}  # by their names in submissions
_TRUTH = ("trial_indices", "image_ids", "responses", "neuron_ids")
_ROWS = 64  # at a time
# As Python writes numbers, and so ast.literal_eval reads them: no 01, no digits but 0 to 9. nan and inf are told apart.
_NUMBER = r"\s*[+-]?(?:(?:\d+\.\d*|\.\d+|\d+(?=e))(?:e[+-]?\d+)?|0+|[1-9]\d*|nan|inf|infinity)\s*"
_LIST = re.compile(rf"\s*\[{_NUMBER}(?:,{_NUMBER})*,?\s*\]\s*", re.ASCII | re.IGNORECASE)
_LONG = re.compile(r"[\[,\s+-](\d{19,})\s*[,\]]")  # a whole number that may be beyond 64 bits
_TRIAL = re.compile(r"\s*([+-]?)0*(\d+)(\.0*)?\s*", re.ASCII)


@dataclass(frozen=True, eq=False)
class Trials:
    """trials (n,), images (n,) and neurons (t,), as text."""

    trials: np.ndarray
    images: np.ndarray
    neurons: np.ndarray


def write(predictions: Predictions, folder: str | Path, session: str | Path) -> list[Path]:
    """Writes `submission_file_live_test.csv` and `submission_file_final_test.csv` into `folder`, where there are such.

    predictions: ids are trial_idx, targets unit_ids; it must have every trial of these tiers of the session, and no
    other. session: the recording's folder, with meta/trials and meta/neurons.
    Raises SubmissionError with every fault, and then writes nothing.
    """
    parts = {tier: part for tier in TIERS if len((part := read_session(session, tier)).trials)}
    if not parts:
        raise SubmissionError(
            f"{session}: expected trials of the tiers {', '.join(TIERS.values())}, found none."
        )
    trials = np.concatenate([part.trials for part in parts.values()])
    neurons = next(iter(parts.values())).neurons
    faults = differences(predictions.ids, trials, "trials", "the predictions")
    faults += differences(predictions.targets, neurons, "neurons", "the predictions")
    bad = ~np.isfinite(predictions.values).all(axis=1)
    if bad.any():
        faults.append(
            f"{bad.sum():,} trials hold values that are not finite: {named(predictions.ids[bad], bad.sum())}"
        )
    refuse(folder, faults)
    ordered = align(predictions, trials, neurons)
    return [
        _write_tier(ordered, part, Path(folder) / f"submission_file_{tier}.csv")
        for tier, part in parts.items()
    ]


def check(submission: str | Path, against: str | Path | None = None) -> list[str]:
    """Every fault of a submission: columns, lists, trials, neurons, values that are not finite.

    against: the session's folder, of whose tiers the one with most of the trials is meant, or a CSV of the same form
    (a submission, or the ground truth with `responses`).
    Raises SubmissionError only where that cannot be used.
    """
    try:
        found, faults = _read(submission, COLUMNS)
    except SubmissionError as error:
        return [str(error)]
    for what, some in {"trials": found.trials, "neurons": found.neurons}.items():
        again = pd.unique(pd.Series(some)[pd.Index(some).duplicated()])
        if len(again):
            faults.append(f"{len(again):,} {what} occur more than once: {named(again, len(again))}")
    if against is None:
        return faults
    expected = _expected(against, found.trials)
    faults += differences(found.trials, expected.trials, "trials", "the submission")
    return faults + differences(found.neurons, expected.neurons, "neurons", "the submission")


def read_session(session: str | Path, tier: str) -> Trials:
    """The trials of a tier, in the order of the session's. Raises SubmissionError for files that cannot be used."""
    meta = Path(session) / "meta"
    arrays = {}
    for name in ("trials/tiers", "trials/trial_idx", "trials/frame_image_id", "neurons/unit_ids"):
        arrays[name] = load_npy(meta / f"{name}.npy", "one value a trial or neuron").astype(np.str_)
    tiers, trials, images, neurons = arrays.values()
    if not tiers.shape == trials.shape == images.shape:
        raise SubmissionError(
            f"{meta / 'trials'}: expected as many tiers, trial_idx and frame_image_id, "
            f"found {tiers.shape}, {trials.shape}, {images.shape}."
        )
    inside = tiers == TIERS[tier]
    return Trials(names(trials[inside], "trial_idx"), images[inside], names(neurons, "unit_ids"))


def _write_tier(ordered: Predictions, part: Trials, path: Path) -> Path:
    rows = pd.Index(ordered.ids).get_indexer(pd.Index(part.trials))
    are_numbers = np.char.isdecimal(part.neurons).all()
    neurons = str([int(name) for name in part.neurons] if are_numbers else part.neurons.tolist())
    with atomic(path) as file:
        file.write((",".join(COLUMNS) + "\n").encode())
        for start in range(0, len(rows), _ROWS):
            some = slice(start, start + _ROWS)
            lines = number_lists(ordered.values[rows[some]])
            cells = zip(part.trials[some].tolist(), part.images[some].tolist(), lines, strict=True)
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows(
                (trial, image, f"[{numbers}]", neurons) for trial, image, numbers in cells
            )
            file.write(text.getvalue().encode())
    keep(path, {"format": FORMAT.name, **ordered.provenance})
    return path


def _expected(against: str | Path, trials: np.ndarray) -> Trials:
    if Path(against).is_dir():
        parts = [read_session(against, tier) for tier in TIERS]
        return max(parts, key=lambda part: int(np.isin(part.trials, trials).sum()))
    columns = _TRUTH if "responses" in read_header(against) else COLUMNS
    expected, faults = _read(against, columns)
    if faults:
        raise SubmissionError(f"{against}: " + "; ".join(faults) + ".")
    return expected


def _read(path: str | Path, columns: tuple[str, ...]) -> tuple[Trials, list[str]]:
    """Trials and neurons of a CSV, and the faults of its rows. Raises SubmissionError for what is no such CSV."""
    header = read_header(path)
    if sorted(header) != sorted(columns):
        raise SubmissionError(
            f"{path}: expected the columns {', '.join(columns)}; found {', '.join(header[:8])}."
        )
    trials, images, odd, bad, others = list[str](), list[str](), list[str](), list[str](), list[str]()
    neurons: list[str] | None = None
    first = ""
    with about(path):
        for block in _blocks(path):
            for trial, image, values, listed in block[list(columns)].itertuples(index=False):
                trial = _name(trial)
                trials.append(trial)
                images.append(image)
                if neurons is None:
                    first, neurons = listed, _items(listed)
                if listed != first:
                    others.append(trial)
                numbers = _numbers(values)
                if numbers is None or len(numbers) != len(neurons):
                    odd.append(trial)
                elif not np.isfinite(numbers).all():
                    bad.append(trial)
        if neurons is None:
            raise SubmissionError("expected a row a trial, found none.")
        found = Trials(np.array(trials, np.str_), np.array(images, np.str_), np.array(neurons, np.str_))
    faults = {
        f"have no list of {len(neurons):,} numbers as {columns[2]}": odd,
        "hold values that are not finite": bad,
        "list other neurons than the first": others,
    }
    sentences = [
        f"{len(some):,} trials {what}: {named(some, len(some))}" for what, some in faults.items() if some
    ]
    for what, names_of in {"trial_indices": trials, "neuron_ids": neurons}.items():
        if wrong := _unreadable(names_of):
            sentences.append(
                f"{len(wrong):,} {what} are not the whole numbers that they look like to the competition's code: "
                f"{named(wrong, len(wrong))}"
            )
    return found, sentences


def _blocks(path: str | Path) -> Iterator[pd.DataFrame]:
    try:
        with pd.read_csv(path, dtype=str, keep_default_na=False, chunksize=_ROWS) as reader:
            for block in reader:
                yield block.fillna("")  # cells that a short row lacks
    except (OSError, ValueError) as error:
        raise SubmissionError(f"expected a CSV ({error}).") from error


def _name(text: str) -> str:
    """A whole number as such: pandas reads 03 as 3, and writes 3 as 3.0 where a column once held no number."""
    number = _TRIAL.fullmatch(text)
    return f"{number[1].strip('+')}{number[2]}" if number else text


def _items(text: str) -> list[str]:
    """A list in Python's notation, its items as text; a text that looks like a number is left in quotes."""
    try:
        items = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        items = None
    if not isinstance(items, list | tuple) or not items or {type(item) for item in items} - {int, float, str}:
        raise SubmissionError(f"neuron_ids: expected a list of neurons, found {text[:60]!r}.")
    return [
        repr(item) if isinstance(item, str) and _odd_number(item) is not None else _name(str(item))
        for item in items
    ]


def _odd_number(text: str) -> float | None:
    """The number that a text stands for, None where it is a name."""
    try:
        return float(text)
    except ValueError:
        return None


def _unreadable(names: Sequence[str]) -> list[str]:
    """The trials or neurons that pandas or numpy do not read as the numbers that they look like."""
    numbers = {name: _odd_number(name.strip("'\"")) for name in names}
    return [
        name
        for name, number in numbers.items()
        if number is not None and (not _TRIAL.fullmatch(name) or abs(number) >= 2**63)
    ]


def _numbers(text: str) -> np.ndarray | None:
    """The numbers in `[1.0, 2.0]`, None where it is no such list; the words nan and inf are numbers here."""
    if not _LIST.fullmatch(text) or any(int(digits) >= 2**63 for digits in _LONG.findall(text)):
        return None
    try:
        return np.array(text.strip().strip("[]").rstrip().removesuffix(",").split(","), np.float64)
    except ValueError:
        return None


def _write_file(predictions: Path, folder: Path, session: Path | None) -> list[Path]:
    if session is None:
        raise SubmissionError(
            "sensorium: name the session's folder, which holds trials and neurons (--against)."
        )
    return write(Predictions.load(predictions), folder, session)


FORMAT = Format(
    name="sensorium",
    writes=("",),
    reads=(".csv",),
    recognise=lambda file: set(COLUMNS) <= set(file.header),
    write=_write_file,
    check=check,
    against="Sensorium's session",
    title="Sensorium's CSV",
    usage=("a folder of two CSVs. --against the session's folder (must)",),
)

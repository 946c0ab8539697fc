"""Members of an ensemble: matched by name, scores of classes as probabilities."""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.special import softmax

from submit.alignment import align
from submit.errors import SubmissionError, named
from submit.predictions import Predictions, ValueKind

_ROWS = 64  # samples taken to float64 at a time


def row_slices(rows: int) -> Iterator[slice]:
    """Slices of a few samples each, which together are all of them."""
    return (slice(i, i + _ROWS) for i in range(0, rows, _ROWS))


def combined_kind(kind: ValueKind) -> ValueKind:
    """The kind of a combination: logits become probabilities."""
    return "regression" if kind == "regression" else "probabilities"


def in_float64(member: Predictions, rows: slice) -> np.ndarray:
    """The values of some samples (b, t) in float64; of logits their softmax."""
    values = member.values[rows].astype(np.float64)
    return softmax(values, axis=1) if member.kind == "logits" else values


def name_of(names: Sequence[str] | None, number: int) -> str:
    """What a message calls a member, counted from 0."""
    return names[number] if names and number < len(names) else f"Prediction {number + 1}"


def match_first(
    member: Predictions, first: Predictions, name: str, of_first: str, targets: np.ndarray | None = None
) -> Predictions:
    """`member` in the order of the first one's ids, and of its targets or of `targets`; their names for messages."""
    if combined_kind(member.kind) != combined_kind(first.kind):
        raise SubmissionError(f"{name} is of kind {member.kind!r}, {of_first} of {first.kind!r}.")
    _refuse_other_subject(member, first, name, of_first)
    try:
        return align(member, first.ids, first.targets if targets is None else targets)
    except SubmissionError as error:
        other = first.kind != "regression" and set(member.targets) != set(first.targets)
        mend = (
            " With --classes union (python -m submit ensemble) members may know other classes."
            if other
            else ""
        )
        raise SubmissionError(f"{name} does not match {of_first}: {error}{mend}") from error


def _refuse_other_subject(member: Predictions, first: Predictions, name: str, of_first: str) -> None:
    """Raises SubmissionError for two subjects of a pooled run, whose ids and targets may be called the same."""
    own, other = (one.provenance.get("subject") for one in (member, first))
    if own != other and None not in (own, other):
        raise SubmissionError(
            f"{name} is of subject {own!r}, {of_first} of {other!r}; expected predictions of one."
        )


def refuse_not_finite(member: Predictions, name: str) -> None:
    """Raises SubmissionError where a value is NaN or infinite, with how many and the first."""
    wrong = ~np.isfinite(member.values)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise SubmissionError(
            f"{name}: {wrong.sum():,} values are not finite, the first at "
            f"id {named(member.ids[row : row + 1], 1)}, target {named(member.targets[column : column + 1], 1)}."
        )

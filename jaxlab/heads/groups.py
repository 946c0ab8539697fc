"""Groups of targets: by regular expressions for their whole names, or by subject."""

import re
from collections import Counter
from collections.abc import Mapping
from itertools import groupby

from jaxlab.core.subjects import subject_of, subjects_in
from jaxlab.core.types import UserError


def check_pattern(where: str, pattern: str) -> None:
    """Raises UserError for what is no regular expression."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise UserError(f"{where} to be a regular expression, found {pattern!r} ({error})") from None


def columns_of(
    field: str, kind: str, patterns: Mapping[str, str], targets: tuple[str, ...]
) -> list[list[int]]:
    """The positions of each group's targets. patterns: by what a message calls the group. kind: a word for a group.

    Raises UserError unless every target is in exactly one, and every group has some.
    """
    found = [
        [k for k, target in enumerate(targets) if re.fullmatch(pattern, target)]
        for pattern in patterns.values()
    ]
    times = Counter(k for own in found for k in own)
    several = [targets[k] for k in sorted(times) if times[k] > 1]
    none = [target for k, target in enumerate(targets) if k not in times]
    empty = [name for name, own in zip(patterns, found, strict=True) if not own]
    problems = [
        f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for names, what in (
            (empty, f"{kind}s that match no target"),
            (several, f"targets that several {kind}s match"),
            (none, f"targets that no {kind} matches"),
        )
        if names
    ]
    if problems:
        raise UserError(
            f"{field}: expected each of {len(targets)} targets to match exactly one {kind}, found "
            f"{'; '.join(problems)}"
        )
    return found


def segments(targets: tuple[str, ...]) -> tuple[tuple[int, int, int], ...]:
    """(number of the subject, first, end) of each series of targets that are of one subject."""
    number = {subject: k for k, subject in enumerate(subjects_in(targets))}
    found, first = [], 0
    for subject, some in groupby(targets, subject_of):
        end = first + sum(1 for _ in some)
        found.append((number[subject], first, end))
        first = end
    return tuple(found)

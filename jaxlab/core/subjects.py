"""Names of several subjects' samples and targets: `SUBJECT/NAME`."""

from collections.abc import Sequence

SEPARATOR = "/"  # no subject's name has one: it is a folder's
MANY = 16  # subjects of which a smoke test has samples


def subject_of(name: str) -> str:
    """Whose it is; "" of one that names nobody."""
    return name.partition(SEPARATOR)[0] if SEPARATOR in name else ""


def without_subject(name: str) -> str:
    """What the subject's own data call it."""
    return name.partition(SEPARATOR)[2]


def subjects_in(names: Sequence[str]) -> dict[str, list[int]]:
    """{subject: the positions of its names}, in the order in which subjects occur."""
    found: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        found.setdefault(subject_of(name), []).append(position)
    return found

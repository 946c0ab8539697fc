"""Names of files in a run directory: which are whose, and in which order they are sent."""

import re

from jaxlab.core.remote.lease import NAME

MARK = "trained-by"
MANIFEST = "manifest.json"
_OF_A_COPY = re.compile(r"\..+\.json")  # of a run within a study, which was read by itself
_ANYBODYS = re.compile(r"(?:.*/)?(?:predictions|validations)/")


def is_anybodys(name: str) -> bool:
    """What is added beside training."""
    return _ANYBODYS.match(name) is not None


def is_private(name: str) -> bool:
    """A lock, a mark, what is being written, or what is known of a copy of a run within this one."""
    parts = name.split("/")
    return (
        parts[-1] == NAME
        or parts[-1].endswith(".lock")  # of processes on this machine, as a search's have them
        or name == MARK
        or _OF_A_COPY.fullmatch(parts[-1]) is not None
        or any(part.endswith(".partial") or ".partial" in part for part in parts)
    )


def is_whole(name: str, signs: dict[str, str]) -> bool:
    """Not of a checkpoint that is being sent, or was when its sender died."""
    step = step_of(name)
    return step is None or f"{step}/{MANIFEST}" in signs


def step_of(name: str) -> str | None:
    """The checkpoint that a file is of, as fold0/checkpoints/12; None of another file."""
    found = re.match(r"(?:.*/)?checkpoints/[0-9]+(?=/)", name)
    return found[0] if found else None


def last_manifest(name: str) -> tuple[int, str]:
    """Checkpoints first, each with its manifest last; then what says which there are."""
    return 2 if step_of(name) is None else int(name.endswith(MANIFEST)), name


def first_manifest(name: str) -> tuple[bool, str]:
    return (not name.endswith(MANIFEST), name)

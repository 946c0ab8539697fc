"""Whether two files of predictions are by the same checkpoints, as far as their provenance says."""

from collections.abc import Mapping
from typing import Any

from submit.errors import SubmissionError
from submit.provenance.explanation import tree


def checkpoints(provenance: Mapping[str, Any]) -> dict[str, str]:
    """{digest: step} of the networks that predictions are of; empty where none is recorded."""
    return {
        str(made["digest"]): str(made.get("step", "?")) for made in origins(provenance) if made.get("digest")
    }


def origins(provenance: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The provenance of each run that predictions are of, however they were combined; empty of a user's own facts."""
    try:
        return [leaf.provenance for leaf in tree(provenance).leaves()]
    except SubmissionError:
        return []


def refuse_other_checkpoint(learned: Mapping[str, Any], given: Mapping[str, Any], name: str) -> None:
    """Raises SubmissionError where both are of one run and by other checkpoints of it.

    learned: the provenance of what weights were learned from; given: of what they are to combine, called `name`.
    """
    run = learned.get("run")
    before, now = checkpoints(learned), checkpoints(given)
    if run is None or run != given.get("run") or not before or not now or before.keys() == now.keys():
        return
    raise SubmissionError(
        f"{name}: weights were learned from predictions of {run} by {_named(before)}, and these are by {_named(now)}. "
        f"Expected one checkpoint for both: `jaxlab predict {run}` makes predictions/test.npz, and with --split "
        "validation those to learn from."
    )


def _named(found: Mapping[str, str]) -> str:
    some = [f"step {step} ({digest[:8]})" for digest, step in list(found.items())[:3]]
    return f"{', '.join(some)}{' and others' if len(found) > 3 else ''}"

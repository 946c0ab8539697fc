"""`jaxlab evaluate --pending`: the registry of a folder, a watcher, and networks that validate."""

from collections.abc import Callable, Sequence
from pathlib import Path

from jaxlab.core.passwords import without_passwords
from jaxlab.core.remote.store import url_of
from jaxlab.core.types import UserError
from jaxlab.runs.registry.place import VARIABLE, absolute, folder_of_runs, place_of
from jaxlab.runs.registry.store import Registry
from jaxlab.runs.registry.validate import Networks
from jaxlab.runs.registry.watch import Outcome, Watcher


def validate_pending(
    folder: str | Path | None = None,
    settings: Sequence[str] = (),
    watch: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Validate the checkpoints of the runs in `folder` (default: runs), or of one run, that nobody has validated.

    settings: overrides of where data lie. watch: and those that come, until SIGINT, SIGTERM or SIGHUP. say: is told a
    line for each.
    Raises UserError where there is no such folder, or no registry may be written, and for a URL.
    """
    if (url := url_of(folder)) is not None:
        raise UserError(
            f"--pending: expected a folder on a disk that all watchers see, found {without_passwords(url)}; of one run "
            "there, `jaxlab evaluate URL --checkpoints all` validates the checkpoints that lack it"
        )
    folder = Path(folder or "runs")
    place = place_of(folder_of_runs(folder))
    if place is None:
        raise UserError(
            f"--pending: expected a registry, by which watchers know of one another; {VARIABLE} or --registry says off"
        )
    registry = Registry(place)
    try:
        outcome = Watcher(registry, absolute(folder), Networks(settings), say).run(watch)
    finally:
        registry.close()
    if not watch:
        say(_told(outcome))
    return outcome


def _told(outcome: Outcome) -> str:
    left = outcome.left - len(outcome.failed)
    others = f"; {left} are another watcher's" if left > 0 else ""
    failed = f"; {len(outcome.failed)} could not be" if outcome.failed else ""
    return f"{outcome.validated} validated{failed}{others}"

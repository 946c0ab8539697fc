"""Paths of runs, which may be URLs: what is trained or read is the copy in the cache."""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jaxlab.core.lock import locked
from jaxlab.core.remote.store import Store, url_of
from jaxlab.core.types import FileWarning, UserError


def local_of(path: str | Path) -> Path:
    """Where a run is, or will be, on this machine; nothing is fetched."""
    url = url_of(path)
    if url is None:
        return Path(path)
    from jaxlab.core.remote.mirror import mirror_at

    return mirror_at(url).local


def fetched(path: str | Path) -> Path:
    """A path as it is; of a URL the copy, with all that the store has. Raises UserError where that is nothing."""
    url = url_of(path)
    if url is None:
        return Path(path)
    from jaxlab.core.remote.mirror import mirror_at

    return mirror_at(url).fetch()


def fetched_folder(path: str | Path) -> Path:
    """The same of a folder of runs, of which what lists need is fetched: no parameters. Also says who trains there, and
    leaves out copies of runs that are there no longer.

    Raises UserError where there is no run.
    """
    url = url_of(path)
    if url is None:
        return Path(path)
    from jaxlab.core.remote.mirror import copies, mirror_at, mirror_of

    local = mirror_at(url).local
    configs = (name.rpartition("/") for name in Store(url).signs())
    runs = sorted(folder for folder, _, name in configs if name == "config.json")
    if not runs:
        raise UserError(f"{url}: expected a run, or a folder of runs, found none there")
    for run in runs:
        if any(run != other and f"{run}/".startswith(f"{other}/" if other else "") for other in runs):
            continue  # it is a study's, and comes with it
        mirror = mirror_at("/".join(filter(None, (url, run))))
        mirror.fetch(lambda name: "/state/" not in name and "events/" not in name)
        mirror.show_holder()
    for gone in copies(local) - {mirror_at("/".join(filter(None, (url, run)))).local for run in runs}:
        if (copy := mirror_of(gone)) is not None:
            copy.update()
    return local


@contextlib.contextmanager
def trained(path: str | Path) -> Iterator[Path]:
    """Where to train: a path as it is; of a URL the copy, alone, which is sent to the store as the block ends.

    Raises InUse where another process trains it, UserError where the store cannot be had.
    """
    url = url_of(path)
    if url is None:
        yield Path(path)
        return
    from jaxlab.core.remote.mirror import mirror_at

    mirror = mirror_at(url)
    mirror.begin()
    try:
        yield mirror.local
    except BaseException:
        try:
            mirror.end()
        except UserError as error:  # what went wrong before counts
            warnings.warn(str(error), FileWarning, stacklevel=3)
        raise
    mirror.end()


def sending(told: Callable[..., None], path: Path) -> Callable[..., None]:
    """What is told of each checkpoint, and then sends it, where the run is in a store."""
    from jaxlab.core.remote.mirror import mirror_of

    mirror = mirror_of(path)
    if mirror is None:
        return told

    def both(*given: Any) -> None:
        told(*given)
        mirror.saved()

    return both


@contextlib.contextmanager
def alone_at_records(path: Path) -> Iterator[None]:
    """While something is added to the records of a run that nobody trains then; of a store they are sent.

    Raises InUse where somebody does, UserError where a disk or a store refuses.
    """
    from jaxlab.core.remote.mirror import mirror_of

    mirror = mirror_of(path)
    with (
        locked(path / "lock", path, patient=False),
        trained(mirror.url) if mirror else contextlib.nullcontext(),
    ):
        yield


def sent(path: Path) -> None:
    """Send what others than who trains may write into a run, where that is in a store. UserError where it refuses."""
    from jaxlab.core.remote.mirror import mirror_of

    if (mirror := mirror_of(path)) is not None:
        mirror.send()

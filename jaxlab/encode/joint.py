"""Several processes that fit one ridge regression: which part is whose, and how the parts come together.

What they say to one another are arrays of gigabytes, so that these pass through files on a disk that all of them see.
"""

import contextlib
import shutil
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from jaxlab.core.files import reason, writing
from jaxlab.core.store import cache_dir
from jaxlab.core.types import UserError
from jaxlab.training.hosts import Group

Read = TypeVar("Read")
Arrays = Sequence[np.ndarray]


class Joint:
    """The processes of `group`, of which this is one; without arguments one alone, which has all parts.

    folder: where their arrays pass through, on a disk that all see; what earlier ones left there is removed.
    All call the same methods in the same order. Raises UserError where they see different folders, or the disk refuses.
    """

    def __init__(self, group: Group | None = None, folder: Path | None = None):
        self._group = group or Group()
        self._turn = 0
        if folder is not None and self.writes:
            shutil.rmtree(folder, ignore_errors=True)
        if self._group.count == 1:
            return
        if folder is None:
            raise ValueError("several processes need a folder")
        found = seen(self._group, folder)
        if not found[0]:
            raise UserError(f"{folder} could not be written by process 0, which fits with others there")
        if not all(found):
            raise UserError(
                f"{folder.parent}: expected a run directory on a disk that all {self.count} processes see, found that "
                "some do not see what process 0 writes there"
            )
        self._folder = folder / self._group.gathered("a name", uuid.uuid4().hex)[0]

    @property
    def count(self) -> int:
        return self._group.count

    @property
    def writes(self) -> bool:
        """Whether this is the one that has the whole in the end."""
        return self._group.writes

    def own(self, count: int) -> slice:
        """Its share of so many things in a row; of fewer things than processes some have none."""
        bounds = [count * k // self.count for k in (self._group.index, self._group.index + 1)]
        return slice(*bounds)

    def exchanged(
        self, what: str, arrays: Arrays, read: Callable[[list[Arrays]], Read], everywhere: bool = False
    ) -> Read | None:
        """What `read` makes of the arrays of all, in the order of the processes; None in others than the first.

        everywhere: not None in those either. `read` is given files that are gone afterwards: it copies what it keeps.
        """
        if self.count == 1:
            return read([arrays])
        self._turn += 1
        places = [self._folder / f"{self._turn}-{k}" for k in range(self.count)]
        own = places[self._group.index]
        with writing(own):
            own.mkdir(parents=True)
            for number, array in enumerate(arrays):
                np.save(own / f"{number}.npy", array)
        self._group.meet(what)
        found = None
        if everywhere or self.writes:
            try:
                found = read([_loaded(place) for place in places])
            except OSError as error:
                raise UserError(f"{self._folder} could not be read ({reason(error)})") from error
        self._group.meet(f"{what}, read")
        shutil.rmtree(own, ignore_errors=True)
        return found

    def of_first(self, what: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        """What the first process makes, and the others wait for."""
        found = self.exchanged(
            what, [make()] if self.writes else [], lambda parts: np.array(parts[0][0]), everywhere=True
        )
        assert found is not None
        return found

    def end(self) -> None:
        """Remove the folder."""
        if self.count > 1 and self.writes:
            shutil.rmtree(self._folder.parent, ignore_errors=True)


ALONE = Joint()


def seen(group: Group, folder: Path) -> list[bool]:
    """Of each process, whether it sees what the first one writes into `folder`; of none where the disk refuses that."""
    name = group.gathered("a name", uuid.uuid4().hex)[0]
    if group.writes:
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
    group.meet("what the first one writes")
    found = group.gathered("whether it is seen", f"{(folder / name).exists():d}")
    if group.writes:
        with contextlib.suppress(OSError):
            (folder / name).unlink()
    return [said == "1" for said in found]


def say_of_cache(group: Group, log: Callable[[str], None]) -> None:
    """Where processes that train as one have caches of their own, that each makes all features."""
    found = seen(group, cache_dir() / "features") if group.count > 1 else [True]
    if found[0] and not all(
        found
    ):  # a cache that nobody may write to has all that is needed, or says so itself
        others = ", ".join(str(k) for k, sees in enumerate(found) if not sees)
        log(
            f"{cache_dir()}: not all processes keep features where process 0 does (others: {others}), so that each has "
            "to make its own; with JAXLAB_CACHE on a disk that all of them see they share the work"
        )


def _loaded(place: Path) -> list[Any]:
    count = len(list(place.iterdir()))
    return [np.load(place / f"{number}.npy", mmap_mode="r") for number in range(count)]

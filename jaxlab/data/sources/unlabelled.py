"""Images alone: all that lie below a folder, or those of any other source without their truth."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from jaxlab.core.config import Location
from jaxlab.core.types import Samples, UserError
from jaxlab.core.words import counted
from jaxlab.data.readers.image_files import (
    SUFFIXES,
    existing_folder,
    file_samples,
    folders_in,
    left_out,
    list_folder,
)
from jaxlab.data.source import Opened, Source
from jaxlab.data.sources.pooling import alike
from jaxlab.data.sources.simulated import Simulated

_TEST = "test/"  # what ids of test images begin with, where labelled ones may be called the same


@dataclass(frozen=True, kw_only=True)
class ImageTree(Source):
    """All images below a folder, however deep, without any truth: for pretext tasks, and for a teacher's predictions.

    root: the folder. Ids are paths below it, as `cats/001.png`; hidden files are left out, and links are not followed.
    more: further folders, whose ids begin with their names.
    test: whether folders called `test` that lie beside one called `train`, as a challenge's do, are taken along, too
        (transductive). A run says how many images that is either way.
    """

    root: Location | None = None
    more: tuple[Location, ...] = ()
    test: bool = False

    def open(self) -> Opened:
        notes: list[str] = []
        files = self._below(existing_folder(self.root), "", notes)
        for place in self.more:
            folder = Path(place)
            if not folder.is_dir():
                raise UserError(f"data.more: expected folders, found nothing or a file at {place}")
            prefix = f"{folder.resolve().name}/"
            if any(name.startswith(prefix) for name in files):
                raise UserError(
                    f"data.more: ids of {place} would begin with {prefix!r}, as those of another folder do; rename one"
                )
            files |= self._below(folder, prefix, notes)
        tests = {name: file for name, file in files.items() if _for_tests(name, file)}
        if not self.test:
            files = {name: file for name, file in files.items() if name not in tests}
        if not files:
            raise UserError(
                f"{self.root}: all {len(tests)} images lie in folders called test (data.test=true takes them)"
            )
        return Opened(
            train=file_samples(np.array(list(files), dtype=str), list(files.values())),
            test=None,
            kind="regression",
            targets=(),
            notes=(*notes, *([_said(len(tests), self.test)] if tests else [])),
        )

    def _below(self, root: Path, prefix: str, notes: list[str]) -> dict[str, Path]:
        found = list_folder(root, folders_in(root))
        lines = left_out(found)
        if not found.by_name:
            none = f"{root}: expected images in it or below ({', '.join(sorted(SUFFIXES))}), found none"
            raise UserError("; ".join([none, *lines]))
        notes += lines
        return {f"{prefix}{name}": file for name, file in found.by_name.items()}


def _for_tests(name: str, file: Path) -> bool:
    """Whether one of the folders in an image's id is `test` with `train` beside it."""
    inside = len(Path(name).parts) - 1
    return any(folder.name == "test" and _beside(folder) for folder in list(file.parents)[:inside])


@cache
def _beside(folder: Path) -> bool:
    return folder.with_name("train").is_dir()


def _said(count: int, learned: bool) -> str:
    if learned:
        return f"{counted(count, 'test image')} learned from, too (transductive), without any truth"
    return f"{counted(count, 'image')} in folders called test left out (data.test=true takes them along)"


@dataclass(frozen=True, kw_only=True)
class Unlabelled(Source):
    """The labelled images of another source without their truth, for pretext tasks.

    data: the source (`--set data.data.root=FOLDER`).
    test: whether its test images are learned from, too. No truth of theirs is used, but the network has then seen them
        (transductive), and a run says so; their ids begin with `test/`.
    """

    data: Source = Simulated()
    test: bool = False

    @property
    def mirrors(self) -> frozenset[str]:
        return self.data.mirrors

    def open(self) -> Opened:
        opened = self.data.open()
        train, notes = replace(opened.train, target=None, label=None), opened.notes
        if self.test:
            if opened.test is None:
                raise UserError(
                    f"Unlabelled.test: {type(self.data).__name__} has no test images to learn from; leave test out"
                )
            train = _joined(train, opened.test)
            notes = (
                *notes,
                f"{len(opened.test)} test images are learned from, too (transductive), without any truth",
            )
        return Opened(train=train, test=opened.test, kind="regression", targets=(), notes=notes)

    def open_test(self) -> tuple[Samples | None, Path | None]:
        return self.data.open_test()[0], None


def _joined(first: Samples, second: Samples) -> Samples:
    """The one after the other; of columns those that both have. Of pooled subjects equal images are found over both."""
    if first.masks != second.masks:
        raise UserError(
            f"Unlabelled.test: labelled images have {first.masks} masks, test images {second.masks}"
        )
    count = len(first)

    def either(name: str) -> Callable:
        own, others = (getattr(one, name) or (lambda position: None) for one in (first, second))
        return lambda position: own(position) if position < count else others(position - count)

    shown = None
    if first.image_of is not None or second.image_of is not None:
        numbers = [np.arange(len(one)) if one.image_of is None else one.image_of for one in (first, second)]
        shown = np.concatenate([numbers[0], numbers[1] + numbers[0].max() + 1])
    both = [name for name in first.columns if name in second.columns]
    columns = {name: np.concatenate([first.columns[name], second.columns[name]]) for name in both}
    ids, together = np.concatenate([first.ids, np.char.add(_TEST, second.ids)]), None
    if first.together is not None:
        shown, together = alike(ids, either("checksum"))
        columns["image"] = together
    return Samples(
        ids=ids,
        read=either("read"),
        checksum=either("checksum"),
        columns=columns,
        image_of=shown,
        together=together,
        masks=first.masks,
        deep=None if first.deep is second.deep is None else either("deep"),
    )

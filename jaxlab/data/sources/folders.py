"""One folder of images a class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxlab.core.config import Location
from jaxlab.core.types import Samples, UserError
from jaxlab.data.readers.image_files import (
    ImageFolder,
    existing_folder,
    file_samples,
    folders_in,
    left_out,
    list_folder,
    list_folders,
)
from jaxlab.data.readers.tables import classes_of
from jaxlab.data.source import Opened, Source, examples
from submit.near_names import difference

ClassFolders = Mapping[str, Sequence[Path]]


@dataclass(frozen=True, kw_only=True)
class ImageFolders(Source):
    """A class is a folder of images: `root/CLASS/*.png`, or `root/train/CLASS/*.png`.

    root: the folder. Ids are paths below it, as `train/cat/001.png`; hidden files are left out.
    train: the folder of the classes' folders; where root has none of that name, root itself is that.
    validation: where it is there too, the column `split` reads `train` or `val`, for ColumnSplit(column="split").
    test: images to predict, with or without folders for their classes. Ids are paths below it.
    """

    root: Location | None = None
    train: str = "train"
    validation: str = "val"
    test: str = "test"

    def open(self) -> Opened:
        root = existing_folder(self.root)
        problems: list[str] = []
        notes: list[str] = []
        splits = {name: self._classes(folder, problems, notes) for name, folder in self._splits(root).items()}
        if "val" in splits and (new := [name for name in splits["val"] if name not in splits["train"]]):
            near = difference(new, splits["train"])
            problems.append(
                f"{root / self.validation}: {examples(new)} not among the classes of {self.train!r}"
                f"{f'; {near}' if near else ''}"
            )
        if problems:
            raise UserError("; ".join([*problems, *notes]))
        train, names = _labelled(root, splits)
        tests = self._tests(root)
        notes += () if tests is None else left_out(tests)
        return Opened(
            train=train, test=_samples(tests), kind="classification", targets=names, notes=tuple(notes)
        )

    def open_test(self) -> tuple[Samples | None, Path | None]:
        """As `open`, but the labelled images need not be there."""
        return _samples(self._tests(existing_folder(self.root))), None

    def _splits(self, root: Path) -> dict[str, Path]:
        train, validation = root / self.train, root / self.validation
        if not train.is_dir():
            if validation.is_dir():
                raise UserError(f"{root}: has a folder {self.validation!r}, but none named {self.train!r}")
            return {"train": root}
        return {"train": train, "val": validation} if validation.is_dir() else {"train": train}

    def _classes(self, folder: Path, problems: list[str], notes: list[str]) -> ClassFolders:
        """{class: its images}, both sorted."""
        names = [name for name in list_folders(folder) if folder / name != Path(str(self.root)) / self.test]
        listed = {name: list_folder(folder / name) for name in names}
        files = {name: list(one.by_name.values()) for name, one in listed.items()}
        notes += [line for one in listed.values() for line in left_out(one)]
        if len(names) < 2:
            found = examples(names) or "none"
            problems.append(f"{folder}: expected a folder for each of two classes or more, found {found}")
        if beside := list_folder(folder).by_name:
            problems.append(
                f"{folder}: {len(beside)} images lie beside the class folders ({examples(beside)})"
            )
        if nested := [f"{name}/{inner}" for name in names for inner in list_folders(folder / name)]:
            problems.append(
                f"{folder}: {len(nested)} folders lie in class folders ({examples(nested)}); expected images there. "
                "data.root is the folder of the classes' folders"
            )
        if empty := [name for name in names if not files[name]]:
            problems.append(f"{folder}: {len(empty)} classes have no image ({examples(empty)})")
        return files

    def _tests(self, root: Path) -> ImageFolder | None:
        folder = root / self.test
        return list_folder(folder, folders_in(folder)) if folder.is_dir() else None


def _samples(tests: ImageFolder | None) -> Samples | None:
    files = {} if tests is None else tests.by_name
    return file_samples(np.array(list(files)), list(files.values())) if files else None


def _labelled(root: Path, splits: Mapping[str, ClassFolders]) -> tuple[Samples, tuple[str, ...]]:
    rows = [
        (split, name, file)
        for split, classes in splits.items()
        for name, files in classes.items()
        for file in files
    ]
    split, name, files = zip(*rows, strict=True)
    label, names = classes_of(np.array(name))
    columns = {"split": np.array(split)} if len(splits) > 1 else {}
    ids = np.array([file.relative_to(root).as_posix() for file in files])
    return file_samples(ids, files, label=label, columns=columns), names

"""A Kaggle competition folder: train.csv (or train.parquet), image folders, sample_submission.csv."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jaxlab.core.config import LATER, Location
from jaxlab.core.types import Kind, Samples, UserError
from jaxlab.core.words import counted
from jaxlab.data.readers.image_files import (
    SUFFIXES,
    ImageFolder,
    existing_folder,
    file_samples,
    folders_in,
    folders_of,
    left_out,
    list_folder,
    list_folders,
)
from jaxlab.data.readers.odd_numbers import counts_rows, like_classes, numbering
from jaxlab.data.readers.tables import (
    classes_of,
    ids_of,
    is_nameless,
    is_text,
    numbers,
    read_columns,
    read_header,
    strings,
)
from jaxlab.data.source import Opened, Source, examples
from submit.near_names import difference

_LOOKED_AT = 100  # columns, and rows of them, for names of images
# As some write it: 1,5 or 1,000.5 or 10%. Each text is matched in one way at most, however long a stranger's is.
_NUMBER = re.compile(r"\s*[+-]?(?=[^,%]*[,%])[.,]*\d[\d.,]*\s*%?\s*")


@dataclass(frozen=True, kw_only=True)
class KaggleTable(Source):
    """One row an image: an id, then one or many target columns, or one column of class names.

    root: the folder. A solution.csv in it is never opened.
    id_column: default: the first column of the sample submission, else of train.csv. An id is the name of an
        image file, with or without its suffix, after the folders that lead to it (`m1/0001`).
    targets: the target columns; default: every column but the id, `label`, `columns` and those without a name. One
        that the sample submission has not, where it has others of them, is refused unless it is named here.
    label: the column of class names. A single target column without one number in it is taken for that; one of
        whole numbers is not, and training says so.
    columns: other columns, such as a subject, that a split asks for.
    train_csv: the table, a CSV or Parquet file; without a train.csv, train.parquet is taken. Whole numbers that are
        ids or classes in a Parquet file are read as their decimal digits.
    train_images, test_images: folders below root; where one is missing, `images` is taken.
    sample: its ids are the test ids, in its order. Without the file, and where its rows are for an image and a
        target each (`img7_n3`), all test images are, sorted by name; where the folder has none itself, those of the
        folders in it (`m1/0001`).
    missing_targets: cells of numbers that are empty, or `nan`, `NA`, `null` and the like, are targets that are not
        known, and are left out of loss and scores.
    """

    root: Location | None = None
    id_column: str | None = None
    targets: tuple[str, ...] = ()
    label: str | None = None
    columns: tuple[str, ...] = ()
    train_csv: str = "train.csv"
    train_images: str = "train"
    test_images: str = "test"
    sample: str = "sample_submission.csv"
    missing_targets: bool = field(default=False, metadata=LATER)

    def check(self) -> None:
        if self.label is not None and self.targets:
            raise UserError(
                "KaggleTable: expected targets (regression) or label (classification), "
                f"found both: targets={self.targets}, label={self.label!r}"
            )

    def open(self) -> Opened:
        root = existing_folder(self.root)
        sample = self._sample(root)
        table = self._table(root)
        header = read_header(table)
        id_column = self.id_column or _first_named(read_header(sample) if sample else header)
        if id_column not in header:
            raise UserError(_no_id_column(table, id_column, header))
        problems: list[str] = []
        targets = self._targets(table, header, id_column)
        if sample is not None and not self.targets and self.label is None:
            problems += _unasked(table, targets, sample, read_header(sample))
        train, names = self._train(root, targets, id_column, problems)
        test = self._test(root, sample, id_column, problems)
        if problems:
            raise UserError("; ".join(problems))
        kind: Kind = "regression" if train.label is None else "classification"
        notes = (
            *self._notes(table, header, names, train, sample is not None),
            *self._rowless(root, table, train),
            *self._unread(root, sample),
        )
        return Opened(train=train, test=test, kind=kind, targets=names, sample_submission=sample, notes=notes)

    def open_test(self) -> tuple[Samples | None, Path | None]:
        """As `open`, but train.csv need not be there: a folder to predict may hold the test images alone."""
        root = existing_folder(self.root)
        sample = self._sample(root)
        problems: list[str] = []
        test = self._test(
            root, sample, self.id_column or (_first_named(read_header(sample)) if sample else ""), problems
        )
        if problems:
            raise UserError("; ".join(problems))
        return test, sample

    def _table(self, root: Path) -> Path:
        """Raises UserError, with what is there instead, where there is none."""
        table = root / self.train_csv
        parquet = table.with_suffix(".parquet")
        if not table.is_file() and not parquet.is_file():
            raise UserError(f"{table}: no such file; {self._instead(root)}")
        return table if table.is_file() else parquet

    def _instead(self, root: Path) -> str:
        """What a folder without its table holds, and how that would be read."""
        inside = sorted(path for path in root.iterdir() if not path.name.startswith("."))
        others = (self.sample, "solution.csv", self.train_images, self.test_images, "images")
        other = [path for path in inside if path.name not in others]
        if tables := [path.name for path in other if path.suffix in (".csv", ".parquet")]:
            return f"there is {examples(tables)}: data.train_csv names the table"
        folders = [path for path in (*other, *_folders(root / self.train_images)) if path.is_dir()]
        if len(classes := [path.name for path in folders if list_folder(path).by_name]) > 1:
            return (
                f"there are folders of images ({examples(classes)}): where each is a class, data=ImageFolders() in a "
                "config reads them"
            )
        return f"{root} holds {examples(path.name for path in inside) or 'nothing'}"

    def _sample(self, root: Path) -> Path | None:
        return root / self.sample if (root / self.sample).is_file() else None

    def _targets(self, path: Path, header: list[str], id_column: str) -> tuple[str, ...]:
        """The target columns, or the one of class names. Raises UserError where there is none."""
        special = (id_column, *self.columns)
        others = tuple(name for name in header if name not in special and not is_nameless(name))
        targets = (self.label,) if self.label is not None else self.targets or others
        if not targets:
            raise UserError(f"{path}: no target column besides {special}")
        return targets

    def _notes(
        self, path: Path, header: list[str], targets: tuple[str, ...], train: Samples, sampled: bool
    ) -> Iterator[str]:
        """What somebody may have meant otherwise."""
        if nameless := [
            name for name in header if is_nameless(name) and name not in (*self.targets, self.label)
        ]:
            places = examples(header.index(name) + 1 for name in nameless)
            why = "an index that was saved along, or a comma too many"
            yield f"{path}: column {places} has no name and is left out: {why}"
        if train.label is not None and self.label is None and len(targets) > len(train) / 2:
            yield (
                f"{path}: its one target column holds {len(targets)} different texts in {len(train)} rows "
                f"({examples(map(repr, targets), 3)}), which are taken for names of classes (classification)"
            )
        if train.target is None or self.targets:
            return
        target = np.asarray(train.target)
        if len(targets) == 1 and (numbers := like_classes(target[:, 0])):
            yield (
                f"{path}: column {targets[0]!r} holds {len(numbers)} different whole numbers ({examples(numbers)}) and "
                "is taken for a number to predict (regression), not for classes; where they are classes: "
                f"--set data.label={targets[0]}"
            )
        if sampled:
            return
        counting = [name for k, name in enumerate(targets) if counts_rows(target[:, k])]
        folds = [targets[k] for k in numbering(target) if targets[k] not in counting]
        if folds:
            yield (
                f"{path}: column {examples(map(repr, folds))} holds few whole numbers, the others fractions, and is "
                "trained on as a target; where it is a fold or a group: "
                f'--set "data.columns=({", ".join(map(repr, folds[:3]))},)"'
            )
        if counting:
            yield (
                f"{path}: column {examples(map(repr, counting))} counts the rows and is trained on as a target; where "
                f'it is an index: --set "data.columns=({", ".join(map(repr, counting))},)"'
            )

    def _unread(self, root: Path, sample: Path | None) -> Iterator[str]:
        """Where all test images are predicted, and some are of a kind that is not read, or in folders."""
        folder = root / self.test_images
        if sample is not None or not folder.is_dir():
            return
        own, every = list_folder(folder), list_folder(folder, folders_in(folder))
        yield from left_out(every)
        if own.by_name and (inside := [name for name in every.by_name if name not in own.by_name]):
            yield (
                f"{folder}: {counted(len(inside), 'image')} in folders of it left out, as it has images itself "
                f"({examples(inside)}); {self.sample} would name those to predict"
            )

    def _rowless(self, root: Path, table: Path, train: Samples) -> Iterator[str]:
        """Where a folder that is for training alone has images without a row, as beside half a table."""
        folder = root / self.train_images
        if not folder.is_dir() or self.train_images == self.test_images:
            return
        images = list_folder(folder, folders_of(folder, train.ids)).by_name
        if (left := len(images) - len(train)) > 0 and (root / self.test_images).is_dir():
            yield f"{folder}: {left} of its {len(images)} images have no row in {table.name}, and are left out"

    def _train(
        self, root: Path, targets: tuple[str, ...], id_column: str, problems: list[str]
    ) -> tuple[Samples, tuple[str, ...]]:
        path = self._table(root)
        special = (id_column, *self.columns)
        table = read_columns(path, special, targets)
        ids = ids_of(table, id_column, path, problems)
        fields: dict[str, Any] = {"columns": {name: strings(table[name]) for name in self.columns}}
        if self.label is not None or (len(targets) == 1 and is_text(table[targets[0]])):
            if self.label is None:
                problems += _misspelt(path, targets[0], strings(table[targets[0]]))
            fields["label"], targets = _labels(path, targets[0], id_column, problems)
        else:
            fields["target"] = numbers(table[list(targets)], ids, path, problems, self.missing_targets)
        files = _files(_folder(root, self.train_images, ids), ids, path, problems)
        if not files and self.id_column is None:
            problems += self._named_elsewhere(root, path, id_column)
        return file_samples(ids, files, **fields), targets

    def _named_elsewhere(self, root: Path, path: Path, id_column: str) -> Iterator[str]:
        """Where another column than the one that is taken for ids names images."""
        columns = [name for name in read_header(path) if name != id_column and not is_nameless(name)]
        table = read_columns(path, columns[:_LOOKED_AT])[:_LOOKED_AT]
        for name in table.columns:
            cells = strings(table[name])
            folder = _folder(root, self.train_images, cells)
            if all(folder.find(cell) for cell in cells.tolist()):
                yield f"column {name!r} names images, and {id_column!r} none: --set data.id_column={name}"

    def _test(self, root: Path, sample: Path | None, id_column: str, problems: list[str]) -> Samples | None:
        if sample is not None:
            header = read_header(sample)
            column = (
                id_column if id_column in header else _first_named(header)
            )  # `row_id`, where rows are no images
            ids = ids_of(read_columns(sample, (column,)), column, sample, problems)
            folder = _folder(root, self.test_images, ids)
            if not ((root / self.test_images).is_dir() and _pairs(folder, ids)):
                return file_samples(ids, _files(folder, ids, sample, problems))
        if not (root / self.test_images).is_dir():
            return None
        found = list_folder(root / self.test_images)
        found = found if found.by_name else list_folder(found.path, folders_in(found.path))
        if several := [[path.name for path in paths] for paths in found.by_stem.values() if len(paths) > 1]:
            problems.append(
                f"{found.path}: {counted(len(several), 'name')} of several images, which would be predicted under one "
                f"id ({examples(several)}); rename them, or name each in full in {self.sample}"
            )
        stems = [name.rpartition(".")[0] for name in found.by_name]
        return file_samples(np.array(stems, dtype=str), list(found.by_name.values())) if stems else None


def _first_named(header: list[str]) -> str:
    return next((name for name in header if not is_nameless(name)), header[0])


def _folders(path: Path) -> list[Path]:
    return [path / name for name in list_folders(path)] if path.is_dir() else []


def _misspelt(path: Path, column: str, cells: np.ndarray) -> list[str]:
    """What is amiss with a single target column of texts that are numbers but for how they are written."""
    written = [cell for cell in cells.tolist() if cell.strip()]
    if not all(map(_NUMBER.fullmatch, written)):
        return []
    return [
        f"{path}: column {column!r} holds numbers in a form that is not read ({examples(map(repr, written), 3)}); "
        "expected a point in numbers and nothing else, neither commas nor %: pandas.read_csv(PATH, decimal=',') or "
        f"thousands=',' reads them; where they are names of classes: --set data.label={column}"
    ]


def _no_id_column(path: Path, id_column: str, header: list[str]) -> str:
    near = difference([id_column], header)
    found = f"{path}: no id column {id_column!r}; its {len(header)} columns: {examples(map(repr, header))}"
    if is_nameless(header[0]):
        return f"{found}. The first has no name: where it holds the ids, write {id_column!r} there"
    return f"{found}{f'; {near}' if near else ''}. Set data.id_column"


def _unasked(path: Path, targets: tuple[str, ...], sample: Path, asked: list[str]) -> list[str]:
    """What is amiss with targets that nobody has named, where the sample submission has some of them alone."""
    beside = [name for name in targets if name not in asked]
    if not beside or (len(beside) == len(targets) and not (near := difference(beside, asked))):
        return []  # as where its columns are classes, or its rows are for an image and a target each
    if len(beside) == len(targets):
        return [
            f"{path}: the sample submission {sample} has other columns than {examples(map(repr, beside))}; {near}"
        ]
    if near := difference(beside, [name for name in asked if name not in targets]):
        return [f"{path}: {sample} does not ask for {examples(map(repr, beside))}; {near}"]
    shown = ", ".join(map(repr, beside[:3])) + (", ..." if len(beside) > 3 else ",")
    return [
        f"{path}: {counted(len(beside), 'column')} would be trained on that {sample.name} does not ask for "
        f'({examples(map(repr, beside))}); where they are none: --set "data.columns=({shown})"; to train on them too, '
        "name all in data.targets"
    ]


def _labels(
    path: Path, column: str, id_column: str, problems: list[str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Class names are read as text: a class `01` is not 1."""
    table = read_columns(path, (id_column, column))
    cells = strings(table[column])
    if empty := strings(table[id_column])[np.char.strip(cells) == ""].tolist():
        problems.append(
            f"{path}: {len(empty)} rows have no class in column {column!r} (ids {examples(empty)})"
        )
    return classes_of(cells)


def _folder(root: Path, name: str, ids: np.ndarray) -> ImageFolder:
    """The images of folder `name`, and of the folders in it that ids such as `m1/0001` lead to."""
    for folder in (root / name, root / "images"):
        if folder.is_dir():
            return list_folder(folder, folders_of(folder, ids))
    raise UserError(f"{root}: expected a folder of images named {name!r} (or 'images'), found neither")


def _pairs(folder: ImageFolder, ids: np.ndarray) -> bool:
    """Whether ids are of an image and something more each: the first of them go on after a file's name.

    Not in its own letters and digits, of which `10` beside a file `1.png` consists, nor with a file's suffix.
    """
    stems = {path.stem for path in folder.by_name.values()}
    first = ids[:100].tolist()

    def goes_on(name: str) -> bool:
        ends = (end for end in range(1, len(name)) if not name[end].isalnum())
        return Path(name).suffix.lower() not in SUFFIXES and any(name[:end] in stems for end in ends)

    return all(goes_on(name) and folder.find(name) is None for name in first)


def _why(absent: list[str], folder: ImageFolder) -> str:
    inside = [path.name for path in _folders(folder.path) if list_folder(path).by_name]
    if inside and not folder.by_name:
        return (
            f"; images lie in its folders ({examples(inside)}), with which ids begin: {inside[0]}/{absent[0]}"
        )
    near = difference(absent, [*folder.by_name, *folder.by_stem])
    if "folder before" not in near:
        return f"; {near}" if near else ""
    first = absent[0].rpartition("/")[0]
    if first == folder.path.name:
        return f"; {near}, and data.train_images or data.test_images='.' takes ids from the folder above"
    return f"; {near}"


def _files(folder: ImageFolder, ids: np.ndarray, table: Path, problems: list[str]) -> list[Path]:
    """The file of each id; those without one are added to `problems`."""
    found = [(name, folder.find(name)) for name in ids.tolist() if name.strip()]
    unclear = [folder.shared_stem(name) for name, path in found if path is None]
    if several := [[path.name for path in paths] for paths in unclear if paths]:
        problems.append(
            f"{folder.path}: {len(several)} ids of {table} fit several files ({examples(several)})"
        )
    if absent := [name for (name, path) in found if path is None and not folder.shared_stem(name)]:
        problems.append(
            f"{folder.path}: no image for {len(absent)} of {len(ids)} ids of {table} ({examples(absent)}); "
            f"the folder holds {len(folder.by_name)} images ({examples(folder.by_name, 2)}; "
            f"an id is a file name with or without {', '.join(sorted(SUFFIXES)[:4])}, ...){_why(absent, folder)}"
        )
        problems += left_out(folder)
    return [path for _, path in found if path is not None]

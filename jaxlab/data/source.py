"""What a source is, what it opens to, and the fingerprint of what it opened."""

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from jaxlab.core.config import Component
from jaxlab.core.types import Kind, Samples

LEAVE_OUT = "where they are not known, data.missing_targets=true leaves them out of loss and scores"
_ROWS = 4096  # hashed at a time
TO_TRY = "`jaxlab simulate FOLDER` writes a Kaggle folder of simulated neurons to try it out"  # ends messages on a root


@dataclass(frozen=True)
class Opened:
    """Everything a source knows before a single image is decoded.

    train: the labelled samples, training and validation together. test: those to predict, if any.
    targets: target column names for regression, class names for classification.
    sample_submission: a file that a submission can be checked against.
    ceiling: (t,) share of each target's variance over the labelled samples that is signal, where known.
    classes: names of the classes that `label` numbers, where the samples have both targets and labels.
    rois: name -> (t,) bool, the targets in a region of interest; regions may overlap.
    notes: what somebody might take otherwise than the source did; said before training, and by the audit.
    subjects: of data that several subjects pool, what each one's own source opened to: `train`, `test` and `targets`
        are these, one after the other.
    """

    train: Samples
    test: Samples | None
    kind: Kind
    targets: tuple[str, ...]
    sample_submission: Path | None = None
    ceiling: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    rois: Mapping[str, np.ndarray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    subjects: "Mapping[str, Opened]" = field(default_factory=dict)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes that `label` numbers."""
        return self.targets if self.kind == "classification" else self.classes


@dataclass(frozen=True)
class Results:
    """A challenge's JSON of answers. form: its name among submit's formats. questions: the JSON to check it against."""

    form: str
    questions: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Source(Component):
    """Base of the places that data come from."""

    @property
    def missing_targets(self) -> bool:
        """Whether NaN is a target that is not known, which loss and scores leave out; a field of sources from files."""
        return False

    @property
    def pools(self) -> bool:
        """Whether several subjects are in it, whose samples and targets are named `SUBJECT/NAME`."""
        return False

    def of_subjects(self) -> "Mapping[str, Source]":
        """The source of each subject, of one that `pools` them. Raises UserError where they cannot be told."""
        return {}

    @property
    def submits(self) -> str:
        """The format of `submit.formats` in which the challenge takes all subjects at once; "" where each has a CSV."""
        return ""

    @property
    def mirrors(self) -> frozenset[str]:
        """The axes along which an image's mirror image shows the same; of digits there are none."""
        return frozenset({"horizontal", "vertical"})

    def results(self, split: str) -> "Results | None":
        """How predictions of a split are handed in as JSON; None where the data's challenge takes none.

        split: "test", or another one, whose questions may be a part of a file's.
        """
        return None

    def open(self) -> Opened:
        """Read the tables and check every id. Raises UserError with all problems at once; decodes nothing."""
        raise NotImplementedError

    def open_on_disk(self) -> Opened:
        """`open`, but targets may stay on disk, as a `BlockDiagonal` of files: those of many subjects fill a memory."""
        return self.open()

    def smoke(self) -> Self:
        """The same for a run of two steps: without what has to be downloaded, or needs more samples."""
        return self

    def open_test(self) -> tuple[Samples | None, Path | None]:
        """The samples to predict and the sample submission, likewise; a source may do without the labelled ones."""
        opened = self.open()
        return opened.test, opened.sample_submission


def not_numbers(values: np.ndarray, missing: bool) -> np.ndarray:
    """(n, t) bool, or of any shape: which values cannot be targets. missing: whether NaN stands for one not known."""
    return np.isinf(values) if missing else ~np.isfinite(values)


def fingerprint(opened: Opened, columns: Iterable[str] = ()) -> str:
    """SHA-256 of the labelled data: ids, target names, values and the stored bytes of each image.

    columns: further ones that are learned from. Of several subjects it is of each one's by itself, of the columns that
    these have: what pooling adds, as `subject`, follows from names and images, which are in it.
    """
    if opened.subjects:
        return fingerprint_of_all(fingerprints(opened.subjects, columns))
    train = opened.train
    sha = hashlib.sha256("\n".join([opened.kind, *opened.targets, "", *train.ids.tolist()]).encode())
    for values in (train.target, train.label):
        if values is None:
            continue
        sha.update(f"{values.dtype.str} {values.shape}".encode())
        for start in range(0, len(values), _ROWS):  # targets can be gigabytes
            flat = np.ascontiguousarray(values[start : start + _ROWS]).reshape(-1)
            sha.update(flat.view(np.uint8).data)
    sha.update(checksums(train, np.arange(len(train))))
    for name in columns:
        sha.update("\n".join([name, *_texts(train.columns[name])]).encode())
    return sha.hexdigest()


def fingerprints(subjects: Mapping[str, Opened], columns: Iterable[str] = ()) -> dict[str, str]:
    """{subject: fingerprint}, of those of the columns that its samples have."""
    asked = list(columns)
    return {
        name: fingerprint(one, [column for column in asked if column in one.train.columns])
        for name, one in subjects.items()
    }


def fingerprint_of_all(subjects: Mapping[str, str]) -> str:
    """That of several subjects' data, from `fingerprints`."""
    each = [f"{name} {found}" for name, found in subjects.items()]
    return hashlib.sha256("\n".join(each).encode()).hexdigest()


def with_texts(found: str, columns: Mapping[str, np.ndarray]) -> str:
    """A fingerprint with these columns in it, and behind a slash the one that earlier versions gave, without them."""
    if not columns:
        return found
    cells = (text for name, column in columns.items() for text in (name, *_texts(column)))
    return f"{hashlib.sha256(chr(10).join([found, *cells]).encode()).hexdigest()}/{found}"


def same_data(then: str, now: str) -> bool:
    """Whether two fingerprints are of the same data. then: a run's, which an earlier version may have made."""
    return then in (now, now.rpartition("/")[2])


def samples_fingerprint(samples: Samples) -> str:
    """SHA-256 of samples whose truth is not known: ids, the stored bytes of each image, and columns."""
    sha = hashlib.sha256("\n".join(samples.ids.tolist()).encode())
    sha.update(checksums(samples, np.arange(len(samples))))
    for name in sorted(samples.columns):
        sha.update("\n".join(["", name, *_texts(samples.columns[name])]).encode())
    return sha.hexdigest()


def _texts(column: np.ndarray) -> list[str]:
    """Its cells as text; objects one by one, since of texts of one length each all take the room of the longest."""
    cells = np.asarray(column).ravel()
    return [str(cell) for cell in cells.tolist()] if cells.dtype == object else cells.astype(str).tolist()


def checksums(samples: Samples, positions: np.ndarray) -> bytes:
    """SHA-256 over the stored images at `positions`, each image read once, by several threads."""
    shown, rows = each_image_once(samples, positions)
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(samples.checksum, shown.tolist()))
    return hashlib.sha256(b"".join(images[row] for row in rows.tolist())).digest()


def each_image_once(samples: Samples, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Those of `positions` that show every image once, and (n,) the row of each one's image among them."""
    if samples.image_of is None:
        return positions, np.arange(len(positions))
    _, first, rows = np.unique(samples.image_of[positions], return_index=True, return_inverse=True)
    return positions[first], rows


def examples(items: Iterable[object], limit: int = 5) -> str:
    """`a, b, c and 4 more`."""
    listed = [str(item) for item in items]
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + more


def duplicates(ids: np.ndarray) -> np.ndarray:
    """The values that occur more than once, sorted."""
    values, counts = np.unique(ids, return_counts=True)
    return values[counts > 1]


def bad_ids(ids: np.ndarray, name: str = "ids") -> list[str]:
    """What is wrong with the array `name` of (n,) unicode ids: those that are repeated or empty."""
    problems = []
    if twice := duplicates(ids).tolist():
        problems.append(f"{len(twice)} {name} occur more than once ({examples(twice)})")
    if empty := np.flatnonzero(np.char.strip(ids) == "").tolist():
        problems.append(f"{len(empty)} {name} are empty (positions {examples(empty)})")
    return problems

"""What there is in a source's data, image by image and target by target; in bounded memory, whatever their number."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from jaxlab.core.types import Samples, UserError
from jaxlab.data.audit.image_statistics import Measured, measure
from jaxlab.data.audit.near_duplicates import near_pairs
from jaxlab.data.audit.target_statistics import Moments, moments
from jaxlab.data.images import shown
from jaxlab.data.levels import Levels, at_levels, settled
from jaxlab.data.source import Opened, each_image_once
from jaxlab.data.split import Split

UNUSED = "unused"  # labelled samples that the split leaves out
SPLITS = (
    "train",
    UNUSED,
    "validation",
    "test",
)  # of two, an image of the first makes scores of the second too good


@dataclass(frozen=True)
class Entry:
    """One image of a split. positions: (k,) those of `samples` in the split that show it.

    measured: None where it cannot be decoded; then `fault` says why.
    """

    samples: Samples
    positions: np.ndarray
    split: str
    checksum: bytes
    measured: Measured | None
    fault: str = ""

    @property
    def ids(self) -> list[str]:
        """Of the samples that show it."""
        return self.samples.ids[self.positions].tolist()

    @property
    def id(self) -> str:
        """The first of `ids`."""
        return str(self.samples.ids[self.positions[0]])

    def read(self) -> np.ndarray:
        """(h, w, 1 or 3) uint8 or float32, without masks."""
        image = self.samples.read(int(self.positions[0]))
        return image[..., : image.shape[2] - self.samples.masks]


@dataclass(frozen=True)
class Alike:
    """Two images that are the same or look the same; of two splits, `second` is of the later one.

    bits: in how many of 63 their hashes differ. exact: the stored bytes are equal.
    """

    first: Entry
    second: Entry
    bits: int
    correlation: float
    exact: bool

    @property
    def crosses(self) -> bool:
        """Whether they are in two splits."""
        return self.first.split != self.second.split


@dataclass(frozen=True)
class Audit:
    """entries: every image of each split, in the order of SPLITS. alike: copies, then the most alike first.

    rows: split -> positions of its labelled samples. moments: of the targets over all labelled samples.
    classes: class -> {split: samples}, in the order of the classes. unknown: split -> samples of no class to learn.
    deep: what is made of images that store more than 8 bits, in a sentence; "" where there are none.
    """

    opened: Opened
    entries: list[Entry]
    alike: list[Alike]
    rows: dict[str, np.ndarray]
    moments: Moments | None
    classes: dict[str, dict[str, int]]
    unknown: dict[str, int]
    deep: str = ""

    def of(self, split: str) -> list[Entry]:
        """The images of one split that can be decoded."""
        return [entry for entry in self.entries if entry.split == split and entry.measured is not None]

    @property
    def corrupt(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.measured is None]

    @property
    def splits(self) -> list[str]:
        """Those that have images."""
        return list(dict.fromkeys(entry.split for entry in self.entries))


def audit(opened: Opened, split: Split, levels: Levels | None = None) -> Audit:
    """Every image of each split decoded and measured once, at its own size. One at fault is an entry, not an error.

    levels: as `images.levels`.
    """
    deep: list[str] = []
    try:
        found = settled(opened, [levels], deep.append)
        levels = levels or found
    except UserError as error:
        deep.append(str(error))
    opened = replace(
        opened,
        train=at_levels(opened.train, levels),
        test=None if opened.test is None else at_levels(opened.test, levels),
    )
    train, validation = split.split(opened.train)
    of_rows = np.full(len(opened.train), UNUSED, dtype="<U10")
    of_rows[train], of_rows[validation] = "train", "validation"
    rows = {name: np.flatnonzero(of_rows == name) for name in SPLITS}
    rows = {name: positions for name, positions in rows.items() if len(positions)}
    wanted = [
        (opened.train, shown_by, name) for name in rows for shown_by in _images(opened.train, rows[name])
    ]
    if opened.test is not None:
        wanted += [
            (opened.test, shown_by, "test") for shown_by in _images(opened.test, np.arange(len(opened.test)))
        ]
    entries = _measured(wanted)
    target, label = opened.train.target, opened.train.label
    return Audit(
        opened=opened,
        entries=entries,
        alike=_alike(entries),
        rows=rows,
        moments=None if target is None else moments(target),
        classes={} if label is None else _classes(opened, label, rows),
        unknown={}
        if label is None
        else {name: int((label[chosen] < 0).sum()) for name, chosen in rows.items()},
        deep=" ".join(deep),
    )


def _images(samples: Samples, positions: np.ndarray) -> list[np.ndarray]:
    """For each image that samples at `positions` (ascending) show, these samples' positions."""
    _, rows = each_image_once(samples, positions)
    ends = np.cumsum(np.bincount(rows))[:-1]
    shown_by = np.split(positions[np.argsort(rows, kind="stable")], ends)
    return sorted(shown_by, key=lambda chosen: int(chosen[0]))


def _measured(wanted: list[tuple[Samples, np.ndarray, str]]) -> list[Entry]:
    def one(item: tuple[Samples, np.ndarray, str]) -> Entry:
        entry = Entry(*item, b"", None)
        try:
            found = measure(entry.read())
            return replace(entry, checksum=entry.samples.checksum(int(entry.positions[0])), measured=found)
        except UserError as error:
            return replace(entry, fault=str(error))

    with ThreadPoolExecutor() as pool:
        return list(shown(pool.map(one, wanted), len(wanted), "reading images"))


def _alike(entries: list[Entry]) -> list[Alike]:
    """Copies of stored bytes, each beside the first of them; then first ones that look the same.

    As entries are in the order of SPLITS, the second of a pair is of the same split or a later one.
    """
    firsts: dict[bytes, Entry] = {}
    copies = []
    for entry in entries:
        if entry.measured is not None and firsts.setdefault(entry.checksum, entry) is not entry:
            copies.append(Alike(firsts[entry.checksum], entry, 0, 1.0, exact=True))
    seen = [(entry, entry.measured.look) for entry in firsts.values() if entry.measured is not None]
    if not seen:
        return copies
    pairs = near_pairs(
        np.array([look.hash for _, look in seen]), np.stack([look.picture for _, look in seen])
    )
    columns = (values.tolist() for values in (pairs.first, pairs.second, pairs.bits, pairs.correlation))
    near = [
        Alike(seen[a][0], seen[b][0], bits, r, exact=False) for a, b, bits, r in zip(*columns, strict=True)
    ]
    return [*copies, *near]


def _classes(opened: Opened, label: np.ndarray, rows: dict[str, np.ndarray]) -> dict[str, dict[str, int]]:
    names = opened.class_names
    known = {split: label[positions][label[positions] >= 0] for split, positions in rows.items()}
    counts = {split: np.bincount(numbers, minlength=len(names)) for split, numbers in known.items()}
    return {name: {split: int(counts[split][k]) for split in rows} for k, name in enumerate(names)}

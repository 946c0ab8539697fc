"""What there is in a source's data, image by image and target by target; in bounded memory, whatever their number."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.progress import track

from jaxlab.data.measure import Measured, measure
from jaxlab.data.moments import Moments, moments
from jaxlab.data.similar import near_pairs
from jaxlab.data.source import Opened
from jaxlab.data.split import Split
from jaxlab.types import Samples, UserError

UNUSED = "unused"  # labelled samples that the split leaves out


@dataclass(frozen=True)
class Entry:
    """One image. samples, position: where it is read from. split: train, validation, unused or test.

    measured: None where it cannot be decoded; then `fault` says why.
    """

    samples: Samples
    position: int
    split: str
    checksum: bytes
    measured: Measured | None
    fault: str = ""

    @property
    def id(self) -> str:
        return str(self.samples.ids[self.position])


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
    """entries: every image once, labelled ones before those to predict. alike: the most alike first.

    rows: split -> positions of its labelled samples. moments: of the targets over all labelled samples.
    classes: class -> {split: samples}, in the order of the classes.
    """

    opened: Opened
    entries: list[Entry]
    alike: list[Alike]
    rows: dict[str, np.ndarray]
    moments: Moments | None
    classes: dict[str, dict[str, int]]

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


def audit(opened: Opened, split: Split) -> Audit:
    """Every image decoded and measured once, at its own size. An image at fault is an entry, not an error."""
    train, validation = split.split(opened.train)
    of_rows = np.full(len(opened.train), UNUSED, dtype="<U10")
    of_rows[train], of_rows[validation] = "train", "validation"
    rows = {name: np.flatnonzero(of_rows == name) for name in ("train", "validation", UNUSED)}
    rows = {name: positions for name, positions in rows.items() if len(positions)}
    wanted = [(opened.train, position, str(of_rows[position])) for position in _images(opened.train)]
    if opened.test is not None:
        wanted += [(opened.test, position, "test") for position in _images(opened.test)]
    entries = _measured(wanted)
    target, label = opened.train.target, opened.train.label
    return Audit(
        opened=opened,
        entries=entries,
        alike=_alike(entries),
        rows=rows,
        moments=None if target is None else moments(target),
        classes={} if label is None else _classes(opened, label, rows),
    )


def _images(samples: Samples) -> list[int]:
    """The position of the first sample of each image."""
    if samples.image_of is None:
        return list(range(len(samples)))
    return np.sort(np.unique(samples.image_of, return_index=True)[1]).tolist()


def _measured(wanted: list[tuple[Samples, int, str]]) -> list[Entry]:
    def one(item: tuple[Samples, int, str]) -> Entry:
        samples, position, split = item
        try:
            image = samples.read(position)
            found = measure(image[..., : image.shape[2] - samples.masks])
            return Entry(samples, position, split, samples.checksum(position), found)
        except UserError as error:
            return Entry(samples, position, split, b"", None, str(error))

    console = Console(stderr=True)
    with ThreadPoolExecutor() as pool:
        results: Iterable[Entry] = track(
            pool.map(one, wanted), "reading images", len(wanted), console=console, transient=True,
            disable=not console.is_terminal,
        )  # fmt: skip
        return list(results)


def _alike(entries: list[Entry]) -> list[Alike]:
    """Copies of stored bytes, each beside the first of them; then first ones that look the same."""
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
    return [_ordered(pair) for pair in (*copies, *near)]


def _ordered(pair: Alike) -> Alike:
    """With the image of the later split second: it is the one whose score the other makes too good."""
    order = ("train", UNUSED, "validation", "test")
    if order.index(pair.first.split) <= order.index(pair.second.split):
        return pair
    return Alike(pair.second, pair.first, pair.bits, pair.correlation, pair.exact)


def _classes(opened: Opened, label: np.ndarray, rows: dict[str, np.ndarray]) -> dict[str, dict[str, int]]:
    names = opened.targets if opened.kind == "classification" else opened.classes
    counts = {split: np.bincount(label[positions], minlength=len(names)) for split, positions in rows.items()}
    return {name: {split: int(counts[split][k]) for split in rows} for k, name in enumerate(names)}

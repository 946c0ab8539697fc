"""Samples and targets of several subjects under one roof: names with the subject before them, equal images found."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from jaxlab.core import blocks
from jaxlab.core.blocks import BlockDiagonal
from jaxlab.core.subjects import SEPARATOR
from jaxlab.core.types import Samples, StoredLevels, UserError
from jaxlab.core.words import counted
from jaxlab.data.source import Opened, examples


def remembered(samples: Samples) -> Samples:
    """The same, whose files are read once to tell images apart."""
    known: dict[int, bytes] = {}

    def checksum(position: int) -> bytes:
        if position not in known:
            known[position] = samples.checksum(position)
        return known[position]

    return replace(samples, checksum=checksum)


def joined(
    some: Mapping[str, Samples], target: BlockDiagonal | None = None, one_by_one: bool = False
) -> Samples:
    """The samples of subjects, one subject after the other. one_by_one: whether a batch is of one subject's."""
    masks = {name: samples.masks for name, samples in some.items()}
    if len(set(masks.values())) > 1:
        raise UserError(f"Pooled: expected images with as many masks of every subject, found {masks}")
    each, place = _places([len(samples) for samples in some.values()])
    samples = list(some.values())

    def of(name: str) -> Callable[[int], Any]:
        def asked(position: int) -> Any:
            method = getattr(samples[each[position]], name)
            return None if method is None else method(int(place[position]))

        return asked

    deep: Callable[[int], StoredLevels | None] | None = of("deep")
    ids = np.concatenate([_named(name, one.ids) for name, one in some.items()])
    image_of, together = alike(ids, of("checksum"))
    subject = np.repeat(np.array(list(some), np.str_), [len(one) for one in samples])
    return Samples(
        ids=ids,
        read=of("read"),
        checksum=of("checksum"),
        target=target,
        columns={**_columns(some), "subject": subject, "image": together},
        image_of=image_of,
        together=together,
        batch_of=each if one_by_one else None,
        masks=samples[0].masks,
        deep=None if all(one.deep is None for one in samples) else deep,
    )


def joined_targets(opened: Mapping[str, Opened]) -> tuple[BlockDiagonal, tuple[str, ...]]:
    """(n, t) with NaN where a target is of another subject than a sample, and the targets' names."""
    parts = [one.train.target for one in opened.values() if one.train.target is not None]
    names = tuple(f"{name}{SEPARATOR}{target}" for name, one in opened.items() for target in one.targets)
    return blocks.joined(parts), names


def seen_by_several(train: Mapping[str, Samples], test: Mapping[str, Samples]) -> list[str]:
    """A line on images that one subject has for training and one, the same or another, to predict."""
    learned = {one for samples in train.values() for one in _checksums(samples)}
    asked = {name: set(_checksums(samples)) for name, samples in test.items()}
    both = {name: len(one & learned) for name, one in asked.items()}
    if not (count := sum(both.values())):
        return []
    shown = examples(f"{name}: {number}" for name, number in both.items() if number)
    return [
        f"{counted(count, 'test image')} {'is' if count == 1 else 'are'} among the images for training, of another "
        f"subject or the same ({shown}): the network has seen them, with other neurons' responses"
    ]


def _places(counts: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """(n,) the number of each sample's subject, and its position there."""
    each = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    return each, np.concatenate([np.arange(count) for count in counts])


def _named(subject: str, ids: np.ndarray) -> np.ndarray:
    return np.char.add(f"{subject}{SEPARATOR}", ids)


def _columns(some: Mapping[str, Samples]) -> dict[str, np.ndarray]:
    """Those that all subjects have."""
    first, *others = some.values()
    common = [name for name in first.columns if all(name in other.columns for other in others)]
    if taken := [name for name in ("subject", "image") if name in common]:
        raise UserError(
            f"Pooled: the columns {examples(taken)} are its own; leave them out of data.each.columns"
        )
    return {name: np.concatenate([one.columns[name] for one in some.values()]) for name in common}


def alike(ids: np.ndarray, checksum: Callable[[int], bytes]) -> tuple[np.ndarray, np.ndarray]:
    """(n,) numbers of images, in the order in which they occur, and for each the first id of that image; equal files
    are one.
    """
    numbers: dict[bytes, int] = {}
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(checksum, range(len(ids))))
    image_of = np.array([numbers.setdefault(one, len(numbers)) for one in found], np.int64)
    return image_of, ids[np.unique(image_of, return_index=True)[1]][image_of]


def _checksums(samples: Samples) -> list[bytes]:
    with ThreadPoolExecutor() as pool:
        return list(pool.map(samples.checksum, range(len(samples))))

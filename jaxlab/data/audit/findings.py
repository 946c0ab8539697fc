"""What an audit found amiss, in sentences that name ids and what to do."""

from collections.abc import Iterator

import numpy as np

from jaxlab.core.words import counted
from jaxlab.data.audit.audit import UNUSED, Alike, Audit, Entry
from jaxlab.data.audit.image_statistics import BLACK
from jaxlab.data.audit.suspicious_ids import spreadsheet, times
from jaxlab.data.source import examples

BORDER = 0.03  # of the side
_SATURATED = 0.5
_UNBALANCED = 1.5


def findings(audit: Audit) -> list[str]:
    """The gravest first; none where nothing seems amiss."""
    return [
        *_corrupt(audit),
        *_alike(audit),
        *([audit.deep] if audit.deep else []),
        *audit.opened.notes,
        *_ranges(audit),
        *_looks(audit),
        *_targets(audit),
        *_classes(audit),
        *_ids(audit),
    ]


def _corrupt(audit: Audit) -> Iterator[str]:
    if corrupt := audit.corrupt:
        faults = "; ".join(entry.fault for entry in corrupt[:5])
        yield f"{counted(len(corrupt), 'image')} cannot be decoded ({_named(corrupt)}): {faults}"


def _alike(audit: Audit) -> Iterator[str]:
    groups: dict[tuple[str, str], list[Alike]] = {}
    for pair in audit.alike:
        groups.setdefault((pair.first.split, pair.second.split), []).append(pair)
    for (one, other), pairs in sorted(groups.items(), key=lambda item: item[0][0] == item[0][1]):
        later = {pair.second.id for pair in pairs}
        shown = examples((f"{pair.second.id} ~ {pair.first.id}" for pair in pairs), 4)
        exact = sum(pair.exact for pair in pairs)
        copies = f", {exact} of them byte for byte" if exact else ""
        if one == other or UNUSED in (one, other):
            splits = one if one == other else f"{one} and {other}"
            look = counted(len(pairs), f"pair of {splits} images looks", f"pairs of {splits} images look")
            yield f"{look} the same{copies} ({shown})"
        elif "test" in (one, other):
            yield (
                f"{counted(len(later), 'test image looks', 'test images look')} like {one} images{copies} ({shown}): "
                "scores that count such are too good; --duplicates writes the ids, and `python -m submit score "
                "--without` leaves them out"
            )
        else:
            yield (
                f"{counted(len(later), f'{other} image looks', f'{other} images look')} like {one} images{copies} "
                f"({shown}): validation scores are too good; a GroupedSplit keeps such images together"
            )


def _ranges(audit: Audit) -> Iterator[str]:
    found = [entry.measured for entry in audit.entries if entry.measured is not None]
    kinds = sorted({measured.dtype for measured in found})
    if len(kinds) > 1:
        yield f"images are of {' and '.join(kinds)}: expected one of them"
    if not found or kinds == ["uint8"]:
        return
    low, high = min(m.lowest for m in found), max(m.highest for m in found)
    if low < 0:
        yield (
            f"float images reach from {low:.3g} to {high:.3g}, as if normalised already: with "
            "normalize=Normalize(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)) they are not normalised again"
        )
    elif high > 1:
        yield f"float images reach from {low:.3g} to {high:.3g}, where Normalize expects 0 to 1"


def _looks(audit: Audit) -> Iterator[str]:
    seen = [(entry, entry.measured) for entry in audit.entries if entry.measured is not None]
    sizes = {measured.size for _, measured in seen}
    if len(sizes) > 1:
        yield f"images have {len(sizes)} sizes: images.size must say which they are brought to"
    wide = [(e, m.border) for e, m in seen if m.border is not None and m.border.share(m.size) > BORDER]
    for colour, entries in (
        ("black", [e for e, border in wide if border.level <= BLACK]),
        ("one colour", [e for e, border in wide if border.level > BLACK]),
    ):
        if entries:
            yield (
                f"{len(entries)} of {len(seen)} images {'has' if len(entries) == 1 else 'have'} a border of {colour} "
                f"that is wider than {BORDER:.0%} of the image ({_named(entries)}): padding or an aperture that the "
                "network sees"
            )
    if blank := [e for e, m in seen if not m.look.picture.any()]:
        yield f"{counted(len(blank), 'image shows', 'images show')} next to nothing: one colour ({_named(blank)})"
    if extreme := [e for e, m in seen if m.dark + m.bright > _SATURATED]:
        have = counted(len(extreme), "image has", "images have")
        yield f"{have} more than half of all values at 0 or 255 ({_named(extreme)})"
    if seen and all(m.channels == 1 for _, m in seen):
        yield "all images are grey: images.channels=1 would do"


def _targets(audit: Audit) -> Iterator[str]:
    if audit.moments is None:
        return
    names = np.array(audit.opened.targets)
    found = audit.moments
    if found.constant.any():
        count = int(found.constant.sum())
        none = "it has no score" if count == 1 else "they have no score"
        are = counted(count, "target is", "targets are")
        yield f"{are} constant ({examples(names[found.constant])}): {none}"
    if found.skewed.any():
        yield (
            f"{found.skewed.sum()} of {counted(len(names), 'target')} {'is' if found.skewed.sum() == 1 else 'are'} far "
            f"from normal (|skew| above 1 or excess kurtosis above 3: {examples(names[found.skewed])}): a root or "
            "logarithm may fit better"
        )
    if far := int(found.far.sum()):
        worst = names[np.argsort(-found.far)[: (found.far > 0).sum()]]
        are = counted(far, "target value is", "target values are")
        yield f"{are} more than 10 standard deviations from the mean ({examples(worst)})"


def _classes(audit: Audit) -> Iterator[str]:
    if not audit.classes:
        return
    train = {name: counts.get("train", 0) for name, counts in audit.classes.items()}
    for split in audit.rows:
        if split != UNUSED and (none := [n for n, counts in audit.classes.items() if not counts[split]]):
            yield f"{counted(len(none), 'class has', 'classes have')} no {split} sample ({examples(none)})"
    if sum(audit.unknown.values()):
        each = ", ".join(
            f"{count} of {len(audit.rows[split])} in {split}" for split, count in audit.unknown.items()
        )
        yield (
            f"samples have none of the classes: {each}; training of classes alone leaves them out, validation counts "
            "them as wrong"
        )
    if len(audit.classes) == 1:
        yield f"there is one class alone ({examples(audit.classes)}): nothing to tell it from"
    counts = {name: count for name, count in train.items() if count}
    if not counts:
        return
    most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    if counts[most] > _UNBALANCED * counts[least]:
        yield (
            f"classes are unequal: {most} has {counts[most]} training samples, {least} {counts[least]}; "
            "balance=Oversample() or MirrorCopies() shows them equally often"
        )


def _ids(audit: Audit) -> Iterator[str]:
    ids = [entry.id for entry in audit.entries]
    if len(dated := times(ids)) > len(ids) / 2:
        yield (
            f"ids look like dates or times ({examples(dated, 3)}): neighbours in time may be alike, and a random split "
            "puts them on both sides; a GroupedSplit by session does not"
        )
    if rewritten := spreadsheet(ids):
        look = counted(len(rewritten), "id looks", "ids look")
        yield f"{look} rewritten by a spreadsheet ({examples(rewritten)})"


def _named(entries: list[Entry]) -> str:
    return examples((entry.id for entry in entries), 4)

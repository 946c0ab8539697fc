"""Several subjects, or sessions of one: their samples one after the other, their targets side by side."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from jaxlab.core.config import Location, locations
from jaxlab.core.types import Samples, UserError
from jaxlab.core.words import counted
from jaxlab.data.readers.image_files import existing_folder, list_folders
from jaxlab.data.source import Opened, Source, examples
from jaxlab.data.sources.pooling import joined, joined_targets, remembered, seen_by_several
from jaxlab.data.sources.table import KaggleTable


@dataclass(frozen=True, kw_only=True)
class Pooled(Source):
    """Subjects that share a network: each has images, and targets that are known for its own images alone.

    root: a folder whose folders are a subject each, named as these; `each` says of which form they are. Files beside
        them play no part, nor do folders of another form, which training names.
    each: the source of such a folder; its root is left open.
    sources: the subjects by name, in place of root and each.
    batches: whose images a training batch has: "all" subjects', in proportion to their number, or "one" subject's,
        another in each batch.

    A sample is called `SUBJECT/ID`, a target `SUBJECT/TARGET`; a subject's own submission has its own names. The column
    `subject` says whose a sample is, and `image` which samples show the same image: those of equal files, whoever saw
    them. Such an image is decoded once, and is on one side of a split that goes by no other column. Targets of other
    subjects are missing (NaN), and are left out of loss and scores.
    """

    root: Location | None = None
    each: Source = KaggleTable()
    sources: dict[str, Source] = field(default_factory=dict, hash=False)
    batches: Literal["all", "one"] = "all"

    def check(self) -> None:
        if self.sources and (self.root is not None or self.each != KaggleTable()):
            raise UserError("Pooled: expected sources, or root and each, found both")
        if wrong := [name for name in self.sources if not re.fullmatch(r"[^./\\\s][^/\\]*", name)]:
            raise UserError(
                f"Pooled.sources: expected names that a folder may have, without / or a point first, found {wrong}"
            )
        if inner := [name for name, one in {"each": self.each, **self.sources}.items() if one.pools]:
            raise UserError(f"Pooled: {inner[0]} is of several subjects already; name them all in one Pooled")
        if "root" not in {one.name for one in fields(self.each)}:
            raise UserError(
                f"Pooled.each: expected a source with a root, as KaggleTable(), found {type(self.each).__name__}; name "
                "each subject's in sources"
            )
        if placed := locations(self.each, "each").get("each.root"):
            raise UserError(
                f"Pooled.each: expected no root, which each subject has in data.root, found {placed}"
            )

    @property
    def missing_targets(self) -> bool:
        return True

    @property
    def pools(self) -> bool:
        return True

    @property
    def mirrors(self) -> frozenset[str]:
        """Those of all."""
        return frozenset.intersection(*(one.mirrors for one in self.sources.values() or (self.each,)))

    def of_subjects(self) -> Mapping[str, Source]:
        if self.sources:
            return self.sources
        root = existing_folder(self.root)
        each: Any = self.each
        names = sorted(list_folders(root), key=_natural)
        if not names:
            raise UserError(f"{root}: expected a folder for each subject in it, found none")
        return {name: replace(each, root=str(root / name)) for name in names}

    def smoke(self) -> Self:
        return replace(self, batches="all")

    def open(self) -> Opened:
        opened, notes = self._of_each(lambda source: source.open_on_disk())
        _check_kinds(opened)
        opened = {name: _own(one) for name, one in opened.items()}
        ceilings = [one.ceiling for one in opened.values()]
        train = {name: one.train for name, one in opened.items()}
        test = {name: one.test for name, one in opened.items() if one.test is not None}
        target, targets = joined_targets(opened)
        samples = joined(train, target, one_by_one=self.batches == "one")
        return Opened(
            train=samples,
            test=joined(test) if test else None,
            kind="regression",
            targets=targets,
            ceiling=None if all(one is None for one in ceilings) else _side_by_side(opened),
            rois=_rois(opened),
            notes=(*notes, *_notes(opened, samples), *seen_by_several(train, test)),
            subjects=opened,
        )

    def open_test(self) -> tuple[Samples | None, Path | None]:
        """All subjects' samples to predict; each has a sample submission of its own."""
        found, _ = self._of_each(lambda source: source.open_test()[0])
        some = {name: samples for name, samples in found.items() if samples is not None}
        return (joined(some) if some else None), None

    def _of_each(self, read: Any) -> tuple[dict[str, Any], list[str]]:
        """{subject: what its source gives}, and notes on folders that are none. Raises UserError for all at fault."""
        found: dict[str, Any] = {}
        faults: dict[str, str] = {}
        for name, source in self.of_subjects().items():
            try:
                found[name] = read(source)
            except UserError as error:
                faults[name] = str(error)
        alone = not found or bool(self.sources)
        others = [name for name in faults if not alone and not self._alike(name, found)]
        if not found and not self.sources:
            self._check_above(read)
        if wrong := {name: fault for name, fault in faults.items() if name not in others}:
            listed = "; ".join(f"{name}: {fault}" for name, fault in list(wrong.items())[:5])
            more = f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""
            raise UserError(
                f"Pooled: {len(wrong)} of {counted(len(found) + len(faults), 'subject')} cannot be read: {listed}{more}"
            )
        kind = type(self.each).__name__
        return found, [
            f"{Path(str(self.root)) / name}: is no folder of {kind}(), and is left out: {faults[name]}"
            for name in others
        ]

    def _check_above(self, read: Any) -> None:
        """Raises UserError for a root that is one subject's own folder."""
        each: Any = self.each
        try:
            read(replace(each, root=self.root))
        except UserError:
            return
        raise UserError(
            f"{self.root}: is one subject's folder; expected the one that holds those of all, each a folder of its own "
            f"(--set data.root={Path(str(self.root)).parent}), or of one subject data={type(self.each).__name__}(...)"
        )

    def _alike(self, name: str, found: Mapping[str, Any]) -> bool:
        """Whether a folder has something of what those have that can be read: it is one of them, and broken."""
        root = Path(str(self.root))
        return any(
            (root / name / entry.name).exists()
            for other in found
            for entry in (root / other).iterdir()
            if not entry.name.startswith(".")
        )


def _natural(name: str) -> list[Any]:
    """s2 before s10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name)]


def _own(opened: Opened) -> Opened:
    """With files that are read once to tell images apart, however often that is asked."""
    test = None if opened.test is None else remembered(opened.test)
    return replace(opened, train=remembered(opened.train), test=test)


def _check_kinds(opened: Mapping[str, Opened]) -> None:
    if wrong := [
        name for name, one in opened.items() if one.kind != "regression" or one.train.target is None
    ]:
        raise UserError(
            f"Pooled: expected numbers to predict of every subject, found classes of {examples(wrong)}: leave these "
            "out, or train on their source alone"
        )


def _side_by_side(opened: Mapping[str, Opened]) -> np.ndarray:
    """(t,) ceilings; 0, which scores leave out, of subjects that have none."""
    return np.concatenate(
        [np.zeros(len(one.targets)) if one.ceiling is None else one.ceiling for one in opened.values()]
    )


def _rois(opened: Mapping[str, Opened]) -> dict[str, np.ndarray]:
    """The subjects as regions, then the regions of each, those of one name together."""
    subject = np.repeat(list(opened), [len(one.targets) for one in opened.values()])
    found = {name: subject == name for name in opened}
    for region in dict.fromkeys(region for one in opened.values() for region in one.rois):
        none = {name: np.zeros(len(one.targets), bool) for name, one in opened.items()}
        mask = np.concatenate([one.rois.get(region, none[name]) for name, one in opened.items()])
        found[f"region {region}" if region in opened else region] = mask
    return found


def _notes(opened: Mapping[str, Opened], samples: Samples) -> list[str]:
    sizes = [f"{name} ({len(one.train)} x {len(one.targets)})" for name, one in opened.items()]
    lines = [
        f"{counted(len(opened), 'subject')}, images x targets: {examples(sizes, 20)}",
        *(f"{name}: {note}" for name, one in opened.items() for note in one.notes),
    ]
    assert samples.image_of is not None
    _, first, times = np.unique(samples.image_of, return_index=True, return_counts=True)
    if shared := int((times > 1).sum()):
        lines.append(
            f"{counted(shared, 'image')} of {len(first):,} for training {'has' if shared == 1 else 'have'} several "
            "samples: each is decoded once, and on one side of a split"
        )
    return lines

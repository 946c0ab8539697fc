"""Algonauts 2023: images and fMRI responses of the Natural Scenes Dataset, one folder a subject."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from jaxlab.core.blocks import BlockDiagonal, Targets
from jaxlab.core.config import LATER, Location
from jaxlab.core.precision import narrowed
from jaxlab.core.types import Samples, UserError
from jaxlab.data.readers.algonauts_rois import classes_in, read_regions
from jaxlab.data.readers.image_files import existing_folder, file_samples, list_folder
from jaxlab.data.readers.npy import read_npy
from jaxlab.data.source import LEAVE_OUT, Opened, Source, duplicates, examples, not_numbers

_ROWS = 512  # copied at a time
_TRAIN, _TEST = Path("training_split/training_images"), Path("test_split/test_images")
_MASKS = "roi_masks"


@dataclass(frozen=True, kw_only=True)
class Algonauts(Source):
    """Targets are the vertices of the chosen hemispheres and regions; rows are the images, sorted by file name.

    root: one subject's folder (training_split, test_split, roi_masks); with `subjects`, the folder that holds theirs.
    subjects: such as `subj01`. One: its own images, under their file names. Several: the images that all of them
        saw, known by what follows the last `_` of the name (nsd-00013), their targets side by side. For a submission
        train each subject by itself.
    hemispheres: lh, rh or both.
    rois: regions (`V1v`, `FFA-1`) or classes of regions (`floc-faces`, `streams`), of which a vertex must be in one;
        none: all vertices.
    missing_targets: NaN is a response that is not known, and is left out of loss and scores.

    A target is named by hemisphere and column of its response file, `lh.00042`; before that stands the subject where
    there are several. The responses are taken as they are: z-scored and averaged over repeats by the challenge.
    """

    root: Location | None = None
    subjects: tuple[str, ...] = ()
    hemispheres: tuple[Literal["lh", "rh"], ...] = ("lh", "rh")
    rois: tuple[str, ...] = ()
    missing_targets: bool = field(default=False, metadata=LATER)

    @property
    def submits(self) -> str:
        return "algonauts2023"

    def check(self) -> None:
        if not self.hemispheres:
            raise UserError("Algonauts.hemispheres: expected lh, rh or both, found none")
        for name in ("subjects", "hemispheres", "rois"):
            if twice := duplicates(np.array(getattr(self, name), dtype=str)).tolist():
                raise UserError(f"Algonauts.{name}: {examples(twice)} more than once")

    def open(self) -> Opened:
        return self._opened(_joined)

    def open_on_disk(self) -> Opened:
        """Of all vertices, not of some regions', the responses stay in their files."""
        return self._opened(_joined if self.rois else _mapped)

    def _opened(self, joined: Callable[..., Targets]) -> Opened:
        """joined: makes one of all parts' responses."""
        folders = self._folders()
        problems: list[str] = []
        images = [_files(folder / _TRAIN) for folder in folders]
        parts = [
            part
            for folder, files in zip(folders, images, strict=True)
            for part in self._parts(folder, files, problems)
        ]
        problems += _half_masked(parts)
        if not problems:
            self._choose(parts, problems)
        if problems:
            raise UserError("; ".join(dict.fromkeys(problems)))  # both hemispheres read a class's mapping
        ids, files, rows = _common(folders, images)
        if not files:
            seen = "image that all subjects saw" if len(folders) > 1 else "image"
            raise UserError(f"{self.root}: no {seen} in {_TRAIN}")
        target = joined(parts, rows, self.missing_targets)
        return Opened(
            train=file_samples(ids, files, target=target),
            test=self._test(folders),
            kind="regression",
            targets=tuple(name for part in parts for name in part.names(len(folders) > 1)),
            rois=_rois(parts),
            notes=tuple(
                f"{part.masks}: no vertex of {part.hemisphere} belongs to {examples(map(repr, self.rois))}: all "
                f"targets of {part.subject} are of the other hemisphere"
                for part in parts
                if not len(part.chosen) and len(self.hemispheres) > 1
            ),
        )

    def open_test(self) -> tuple[Samples | None, Path | None]:
        """As `open`, but without the responses, which need not be there."""
        return self._test(self._folders()), None

    def _folders(self) -> list[Path]:
        root = existing_folder(self.root)
        within = sorted(path.name for path in root.iterdir() if (path / "training_split").is_dir())
        if missing := [name for name in self.subjects if not (root / name).is_dir()]:
            raise UserError(
                f"{root}: no folder {examples(missing)}; subjects here: {examples(within, 8) or 'none'}"
            )
        if not self.subjects and within and not (root / "training_split").is_dir():
            raise UserError(
                f"{root}: expected one subject's folder, found those of {examples(within, 8)}: choose with "
                f"data.subjects, as in --set \"data.subjects=('{within[0]}',)\""
            )
        return [root / name for name in self.subjects] or [root]

    def _test(self, folders: list[Path]) -> Samples | None:
        absent = [folder / _TEST for folder in folders if not (folder / _TEST).is_dir()]
        if len(absent) == len(folders):
            return None
        if absent:
            raise UserError(
                f"{examples(absent)}: no such folder, though other subjects have one: half a download?"
            )
        images = [_files(folder / _TEST) for folder in folders]
        ids, files, _ = _common(folders, images)
        return file_samples(ids, files) if files else None

    def _parts(self, folder: Path, images: list[Path], problems: list[str]) -> list["_Part"]:
        parts = []
        for hemisphere in self.hemispheres:
            path = folder / "training_split" / "training_fmri" / f"{hemisphere}_training_fmri.npy"
            try:
                responses = _responses(path, len(images))
            except UserError as error:
                problems.append(str(error))
                continue
            regions = read_regions(folder / _MASKS, hemisphere, responses.shape[1], problems)
            every = np.arange(responses.shape[1])
            parts.append(_Part(folder.name, hemisphere, path, responses, regions, every))
        return parts

    def _choose(self, parts: list["_Part"], problems: list[str]) -> None:
        """Leave in each part the vertices of `rois`."""
        if not self.rois:
            return
        known = sorted({name for part in parts for name in part.regions})
        sizes = {name: sum(int(part.inside(name).sum()) for part in parts) for name in known}
        if unknown := [name for name in self.rois if name not in sizes]:
            there = examples(known, len(known)) or "none (no masks in roi_masks)"
            problems.append(f"{self.root}: no region {examples(map(repr, unknown))}; regions there: {there}")
        for part in parts:
            if lacking := [name for name in self.rois if name in sizes and name not in part.regions]:
                problems.append(
                    f"{part.masks}: no region {examples(map(repr, lacking))} of {part.hemisphere}, though another "
                    "subject or hemisphere has it"
                )
        if empty := [name for name in self.rois if sizes.get(name) == 0]:
            problems.append(
                f"{self.root}: no vertex of {', '.join(self.hemispheres)} belongs to {examples(map(repr, empty))}"
            )
        for part in parts:
            part.chosen = np.flatnonzero(np.any([part.inside(name) for name in self.rois], axis=0))


@dataclass
class _Part:
    """One hemisphere of one subject. responses: (n, vertices), on disk. chosen: (k,) the vertices that are targets."""

    subject: str
    hemisphere: str
    path: Path
    responses: np.ndarray
    regions: dict[str, np.ndarray]
    chosen: np.ndarray

    @property
    def masks(self) -> Path:
        """The folder of the subject's masks."""
        return self.path.parents[2] / _MASKS

    def inside(self, region: str) -> np.ndarray:
        return self.regions.get(region, np.zeros(self.responses.shape[1], bool))

    def names(self, with_subject: bool) -> list[str]:
        stem = f"{self.subject}.{self.hemisphere}" if with_subject else self.hemisphere
        return vertex_names(stem, self.chosen.tolist())


def vertex_names(stem: str, columns: Iterable[int]) -> list[str]:
    """The targets in these columns of a response file. stem: its hemisphere, after the subject where that is named."""
    return [f"{stem}.{column:05d}" for column in columns]


def _half_masked(parts: Sequence[_Part]) -> list[str]:
    """Masks that one subject or hemisphere has and another lacks, whose vertices would be in no region."""
    there = [classes_in(part.masks, part.hemisphere) for part in parts]
    every = sorted({name for names in there for name in names})
    problems = []
    for part, names in zip(parts, there, strict=True):
        if lacking := [name for name in every if name not in names]:
            files = (f"{part.hemisphere}.{name}_challenge_space.npy" for name in lacking)
            problems.append(
                f"{part.masks}: no {examples(files)}, though another subject or hemisphere has such a mask: half a "
                "download? Fetch it, or choose hemispheres and subjects that have their masks with data.hemispheres "
                "and data.subjects"
            )
    return problems


def _files(folder: Path) -> list[Path]:
    """The folder's images, sorted by name: the order of the responses' rows."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected a subject's folder of Algonauts 2023")
    return list(list_folder(folder).by_name.values())


def _responses(path: Path, images: int) -> np.ndarray:
    if not path.is_file():
        raise UserError(
            f"{path}: no such file; without it, choose the other hemisphere with data.hemispheres"
        )
    responses = read_npy(path, mapped=True)
    if responses.ndim != 2 or responses.dtype.kind != "f":
        raise UserError(
            f"{path}: expected floats (images, vertices), found {responses.dtype} {responses.shape}"
        )
    if len(responses) != images:
        raise UserError(f"{path}: has {len(responses)} rows, but training_images holds {images} images")
    return responses


def _common(
    folders: list[Path], images: list[list[Path]]
) -> tuple[np.ndarray, list[Path], dict[str, np.ndarray]]:
    """(n,) ids, their files, and for each subject the rows of its responses: its own images, or those all saw."""
    several = len(folders) > 1
    stems = [[file.stem.rpartition("_")[2] if several else file.stem for file in files] for files in images]
    for folder, names in zip(folders, stems, strict=True):
        if twice := duplicates(np.array(names, dtype=str)).tolist():
            raise UserError(f"{folder}: {len(twice)} images have the name of another ({examples(twice)})")
    if not several:
        return np.array(stems[0], dtype=str), images[0], {folders[0].name: np.arange(len(images[0]))}
    shared = sorted(set.intersection(*map(set, stems)))
    rows = {}
    for folder, names in zip(folders, stems, strict=True):
        place = {name: row for row, name in enumerate(names)}
        rows[folder.name] = np.array([place[name] for name in shared], np.intp)
    return np.array(shared, dtype=str), [images[0][row] for row in rows[folders[0].name].tolist()], rows


def _joined(parts: Sequence[_Part], rows: dict[str, np.ndarray], missing: bool) -> np.ndarray:
    """(n, t) float32, or (`narrowed`) float64: each part's chosen columns side by side, copied once.

    Raises UserError for what is not finite; of `missing` targets NaN may be.
    """
    sizes = [len(part.chosen) for part in parts]
    dtype = np.result_type(np.float32, *(part.responses.dtype for part in parts))
    target = np.empty((len(rows[parts[0].subject]), sum(sizes)), dtype)
    problems = []
    for part, columns in zip(parts, np.split(target, np.cumsum(sizes)[:-1], axis=1), strict=True):
        bad = 0
        for start in range(0, len(target), _ROWS):
            some = part.responses[rows[part.subject][start : start + _ROWS]]
            columns[start : start + _ROWS] = some[:, part.chosen]
            bad += int(not_numbers(columns[start : start + _ROWS], missing).sum())
        if bad:
            problems.append(f"{part.path}: {bad} values are not finite; {LEAVE_OUT}")
    if problems:
        raise UserError("; ".join(problems))
    return narrowed(target)


def _mapped(parts: Sequence[_Part], rows: dict[str, np.ndarray], missing: bool) -> Targets:
    """The same of all columns, left on disk where they are float32, and every row is asked for."""
    every = all(np.array_equal(own, np.arange(len(own))) for own in rows.values())
    if len(rows) > 1 or not every or any(part.responses.dtype != np.float32 for part in parts):
        return _joined(parts, rows, missing)
    if faults := [fault for part in parts if (fault := _not_finite(part, missing))]:
        raise UserError("; ".join(faults))
    first = np.cumsum([0, *(part.responses.shape[1] for part in parts)])[:-1].tolist()
    return BlockDiagonal(tuple(part.responses for part in parts), tuple((0, column) for column in first))


def _not_finite(part: _Part, missing: bool) -> str:
    some = (part.responses[start : start + _ROWS] for start in range(0, len(part.responses), _ROWS))
    bad = sum(int(not_numbers(rows, missing).sum()) for rows in some)
    return f"{part.path}: {bad} values are not finite; {LEAVE_OUT}" if bad else ""


def _rois(parts: Sequence[_Part]) -> dict[str, np.ndarray]:
    """Name -> (t,) bool of every region with a target in it."""
    names = sorted({name for part in parts for name in part.regions})
    joined = {name: np.concatenate([part.inside(name)[part.chosen] for part in parts]) for name in names}
    return {name: inside for name, inside in joined.items() if inside.any()}

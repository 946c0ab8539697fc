"""Algonauts 2021: the pickle of predicted responses to 102 videos, alone or zipped, written and checked.

From the challenge's development kit (github.com/Neural-Dynamics-of-Visual-Cognition-FUB/Algonauts2021_devkit,
prepare_submission.py and perform_encoding.py): `mini_track.pkl` or `full_track.pkl`, zipped by itself; a dict
{region: {subject: (102, voxels) array}} of the subjects sub01 to sub10 and the regions V1, V2, V3, V4, LOC, EBA, FFA,
STS, PPA (mini track) or WB, the whole brain (full track); videos in the order of their file names; voxels as in the
training data, `{track}/{subject}/{region}.pkl`, a dict whose `train` is (videos, repeats, voxels).

Not documented, and chosen so that old software reads it: pickle protocol 3, which the kit's Python 3.7 wrote, with the
names of numpy 1. The kit wrote float64, here it is float32, and no limit of size is known. Constant columns are refused
because their correlation is undefined. Pickles are read without running them.
"""

import pickle
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from submit.alignment import differences
from submit.blocks import progress
from submit.errors import SubmissionError, about, named, refuse
from submit.files.atomic import atomic
from submit.files.pickles import load_plain
from submit.files.zips import names_in, open_zip, refuse_bomb
from submit.formats.format import Format
from submit.formats.subjects import (
    PredictionsOrFile,
    Repeats,
    SubjectPart,
    area_values,
    by_subject,
    subject_faults,
    subject_part,
    value_faults,
)
from submit.provenance.record import keep

VIDEOS = 102
SUBJECTS = tuple(f"sub{number:02d}" for number in range(1, 11))
REGIONS = {
    "mini_track": ("V1", "V2", "V3", "V4", "LOC", "EBA", "FFA", "STS", "PPA"),
    "full_track": ("WB",),
}
_NUMPY_2, _NUMPY_1 = b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"


def write(
    predictions: Mapping[str, PredictionsOrFile | Sequence[PredictionsOrFile]] | PredictionsOrFile,
    path: str | Path,
    root: str | Path | None = None,
) -> Path:
    """Writes the pickle, in a zip where `path` ends in .zip: of the full track where targets are of WB.

    predictions: as for submit.algonauts.write, of sub01 to sub10; targets are named by region and voxel, `V1.00042` or
    `sub01.V1.00042`, numbered from 0 in each region, and samples are sorted by id.
    root: the challenge's training data, which say how many voxels there are; without it, none up to the highest number
    may be missing. Raises SubmissionError with every fault, and then writes nothing.
    """
    members = by_subject(predictions)
    faults = subject_faults(members, SUBJECTS)
    parts: dict[str, list[SubjectPart]] = {}
    for name in progress([name for name in SUBJECTS if name in members], len(SUBJECTS), "reading"):
        try:
            every = [region for regions in REGIONS.values() for region in regions]
            parts[name] = [subject_part(source, name, every, VIDEOS) for source in members[name]]
        except SubmissionError as error:
            faults.append(str(error))
    areas = {str(area) for some in parts.values() for part in some for area in np.unique(part.area) if area}
    track = "full_track" if areas == {"WB"} else "mini_track"
    faults += _name_faults(Path(path), track)
    content = _content(parts, areas, track, root, faults)
    refuse(path, faults)
    pickled = pickle.dumps(content, protocol=3).replace(_NUMPY_2, _NUMPY_1, 1)
    with atomic(path) as file:
        if Path(path).suffix.lower() == ".zip":
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(zipfile.ZipInfo(f"{track}.pkl"), pickled, zipfile.ZIP_DEFLATED)
        else:
            file.write(pickled)
    subjects = {name: [dict(part.provenance) for part in some] for name, some in parts.items()}
    keep(path, {"format": FORMAT.name, "track": track, "subjects": subjects})
    return Path(path)


def check(path: str | Path, root: str | Path | None = None) -> list[str]:
    """Every fault of a pickle or the zip around it: regions, subjects, shapes, values.

    root: as for `write`. Raises SubmissionError only for a root that cannot be used.
    """
    faults: list[str] = []
    try:
        name, found = _read(Path(path), faults)
    except SubmissionError as error:
        return [*faults, str(error)]
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        return [*faults, f"{path}: expected a dict of regions, found {type(found).__name__}"]
    track = "full_track" if "WB" in found else "mini_track"
    faults += _name_faults(Path(name), track)
    faults += differences(_array(found), _array(REGIONS[track]), "regions", "the submission")
    repeats = Repeats()
    for region in REGIONS[track]:
        subjects = found.get(region, {})
        if not isinstance(subjects, dict):
            faults.append(f"{region}: expected a dict of subjects, found {type(subjects).__name__}")
        elif region in found:
            faults += [
                f"{region}: {fault}" for fault in _subject_faults(subjects, region, track, root, repeats)
            ]
    return faults


def _content(
    parts: Mapping[str, Sequence[SubjectPart]],
    areas: set[str],
    track: str,
    root: str | Path | None,
    faults: list[str],
) -> dict[str, dict[str, np.ndarray]]:
    if other := sorted(areas - set(REGIONS[track])):
        faults.append(
            f"targets of {named(other, len(other))} do not belong to the mini track; give them by themselves"
        )
    content: dict[str, dict[str, np.ndarray]] = {region: {} for region in REGIONS[track]}
    repeats = Repeats()
    for region in REGIONS[track]:
        for name, some in parts.items():
            size = None if root is None else _voxels(Path(root), track, name, region)
            values, found = area_values(some, region, VIDEOS, size)
            found = found or value_faults(values) + repeats.faults(f"{name}, {region}", name, values)
            faults += [f"{name}, {region}: {fault}" for fault in found]
            content[region][name] = values
    return content


def _voxels(root: Path, track: str, subject: str, region: str) -> int:
    """How many there are in the training data."""
    path = root / track / subject / f"{region}.pkl"
    with about(path):
        try:
            with path.open("rb") as file:
                return int(load_plain(file)["train"].shape[-1])
        except OSError as error:
            raise SubmissionError(f"the file cannot be read ({error.strerror or error}).") from error
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise SubmissionError("expected a dict with an array `train`, found none.") from error


def _name_faults(path: Path, track: str) -> list[str]:
    """A sentence where a file is called by the other track than its regions are of."""
    if path.stem not in REGIONS or path.stem == track:
        return []
    return [f"it is called {path.name}, and its regions are those of the {track.replace('_', ' ')}"]


def _read(path: Path, faults: list[str]) -> tuple[str, Any]:
    """The pickle's name, and what it holds."""
    with about(path):
        try:
            if path.suffix.lower() != ".zip":
                with path.open("rb") as file:
                    return path.name, load_plain(file)
            with open_zip(path) as archive:
                pickles = [name for name in names_in(archive) if name.lower().endswith(".pkl")]
                if len(pickles) != 1:
                    raise SubmissionError(f"expected one pickle in the zip, found {len(pickles)}.")
                if archive.namelist() not in ([f"{track}.pkl"] for track in REGIONS):
                    found = named(archive.namelist(), len(archive.namelist()))
                    faults.append(
                        f"expected nothing but mini_track.pkl or full_track.pkl in the zip, found {found}"
                    )
                refuse_bomb(path, archive.getinfo(pickles[0]).file_size)
                with archive.open(pickles[0]) as file:
                    return Path(pickles[0]).name, load_plain(file)
        except (OSError, RuntimeError, zipfile.BadZipFile) as error:
            raise SubmissionError(f"the file cannot be read ({error}).") from error


def _subject_faults(
    subjects: Mapping[Any, Any], region: str, track: str, root: str | Path | None, repeats: Repeats
) -> list[str]:
    if other := {type(name).__name__ for name in subjects if not isinstance(name, str)}:
        return [f"expected subjects by name, found keys of {', '.join(sorted(other))}"]
    faults = differences(_array(subjects), _array(SUBJECTS), "subjects", "the submission")
    for name in SUBJECTS:
        if name in subjects:
            size = None if root is None else _voxels(Path(root), track, name, region)
            found = _array_faults(subjects[name], size) or repeats.faults(
                f"{region}, {name}", name, subjects[name]
            )
            faults += [f"{name}: {fault}" for fault in found]
    return faults


def _array_faults(values: Any, voxels: int | None) -> list[str]:
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f" or values.ndim != 2 or not values.size:
        shape = f"{values.dtype} {values.shape}" if isinstance(values, np.ndarray) else type(values).__name__
        return [f"expected floats ({VIDEOS}, voxels), found {shape}"]
    expected = (VIDEOS, values.shape[1] if voxels is None else voxels)
    faults = [] if values.shape == expected else [f"expected shape {expected}, found {values.shape}"]
    return faults + value_faults(values)


def _array(texts: Iterable[str]) -> np.ndarray:
    return np.array(list(texts), np.str_)


FORMAT = Format(
    name="algonauts2021",
    writes=(".zip", ".pkl"),
    reads=(".zip", ".pkl"),
    recognise=lambda file: file.suffix == ".pkl" or ".pkl" in file.inside,
    write=lambda predictions, path, root: [write(predictions, path, root)],
    check=check,
    against="the challenge's data",
    title="a pickle of Algonauts 2021",
    usage=(
        "a zip, or a pickle. PREDICTIONS: sub01=FILE ... sub10=FILE.",
        "--against the folder of mini_track and full_track",
    ),
    by_subject=True,
)

"""Regions of interest of one hemisphere, from the mask files of Algonauts 2023."""

from pathlib import Path

import numpy as np

from jaxlab.core.types import UserError
from jaxlab.data.readers.npy import read_npy
from jaxlab.data.readers.pickled_dict import read_mapping
from jaxlab.data.source import examples

_ALL = "all-vertices"
_SPACES = ("challenge", "fsaverage")


def read_regions(folder: Path, hemisphere: str, vertices: int, problems: list[str]) -> dict[str, np.ndarray]:
    """Name -> (vertices,) bool of every region and every class of regions; what is amiss is added to `problems`.

    folder: roi_masks, with {hemisphere}.{class}_challenge_space.npy, one number for each vertex of the responses, and
        mapping_{class}.npy, the numbers' names; 0 is no region. A class that is there in fsaverage space alone is
        taken at the vertices that {hemisphere}.all-vertices_fsaverage_space.npy marks. A region that the mapping
        names but no vertex belongs to is there, and empty.
    """
    regions: dict[str, np.ndarray] = {}
    marked = _marked(folder, hemisphere, vertices, problems)
    for kind in classes_in(folder, hemisphere):
        try:
            numbers = _numbers(folder, hemisphere, kind, vertices, marked)
            names = read_mapping(folder / f"mapping_{kind}.npy")
        except UserError as error:
            problems.append(str(error))
            continue
        if unnamed := sorted(set(np.unique(numbers).tolist()) - names.keys() - {0}):
            problems.append(
                f"{folder}: {hemisphere}.{kind} holds the numbers {examples(unnamed)}, which mapping_{kind}.npy does "
                "not name"
            )
        regions[kind] = numbers != 0
        for number, name in names.items():
            if number != 0:
                regions[name] = regions.get(name, False) | (numbers == number)
    return regions


def classes_in(folder: Path, hemisphere: str) -> list[str]:
    """The classes of regions of which there is a file for the hemisphere, in either space."""
    found = {
        file.name.removeprefix(f"{hemisphere}.").removesuffix(f"_{space}_space.npy")
        for space in _SPACES
        for file in folder.glob(f"{hemisphere}.*_{space}_space.npy")
    }
    return sorted(found - {_ALL})


def _marked(folder: Path, hemisphere: str, vertices: int, problems: list[str]) -> np.ndarray | None:
    """Where the responses' vertices are in fsaverage space (its length,) bool; None where no file says so."""
    path = _marks(folder, hemisphere)
    if not path.is_file():
        return None
    try:
        marked = read_marked(folder, hemisphere)
    except UserError as error:
        problems.append(str(error))
        return None
    if marked.sum() != vertices:
        problems.append(f"{path}: marks {marked.sum()} vertices, but the responses have {vertices}")
        return None
    return marked


def read_marked(folder: Path, hemisphere: str) -> np.ndarray:
    """(v,) bool: which vertices of fsaverage the responses have. Raises UserError where no file says so."""
    return _mask(_marks(folder, hemisphere)) != 0


def _marks(folder: Path, hemisphere: str) -> Path:
    return folder / f"{hemisphere}.{_ALL}_fsaverage_space.npy"


def _numbers(
    folder: Path, hemisphere: str, kind: str, vertices: int, marked: np.ndarray | None
) -> np.ndarray:
    """(vertices,) the class's number at each vertex of the responses."""
    path = folder / f"{hemisphere}.{kind}_challenge_space.npy"
    if path.is_file():
        numbers = _mask(path)
        if len(numbers) != vertices:
            raise UserError(f"{path}: has {len(numbers)} vertices, but the responses have {vertices}")
        return numbers
    path = folder / f"{hemisphere}.{kind}_fsaverage_space.npy"
    if marked is None:
        raise UserError(f"{path}: of no use without {hemisphere}.{_ALL}_fsaverage_space.npy beside it")
    numbers = _mask(path)
    if len(numbers) != len(marked):
        raise UserError(f"{path}: has {len(numbers)} vertices, but {hemisphere}.{_ALL} has {len(marked)}")
    return numbers[marked]


def _mask(path: Path) -> np.ndarray:
    """(v,) whole numbers."""
    values = read_npy(path)
    if values.ndim != 1 or values.dtype.kind not in "fiub" or (values != np.rint(values)).any():
        raise UserError(f"{path}: expected whole numbers (vertices,), found {values.dtype} {values.shape}")
    return values.astype(np.int64)

"""Where the targets of an Algonauts subject lie on a mesh of fsaverage, as a table that a readout takes."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float

from jaxlab.core.files import writing
from jaxlab.core.types import UserError
from jaxlab.data.readers.algonauts_rois import read_marked
from jaxlab.data.readers.image_files import existing_folder
from jaxlab.data.readers.surface import read_vertices
from jaxlab.data.sources.algonauts import vertex_names
from submit.files.atomic import atomic

_GAP = 0.1  # between hemispheres, of their width


def write_coordinates(root: Path, surfaces: Mapping[str, Path], out: Path, before: str = "") -> int:
    """Write `target,x,y,z` of each vertex of a subject's responses; how many.

    root: the subject's folder, whose roi_masks/{lh,rh}.all-vertices_fsaverage_space.npy say which vertices of fsaverage
        they are. surfaces: of each hemisphere its mesh, as `read_vertices` reads it.
    before: what stands before each target's name, as of several subjects: "subj01." of Algonauts(subjects=...),
        "subj01/" of Pooled data.

    Spheres of both hemispheres have one centre: the second is moved along x, to lie beside the first.
    Raises UserError where a mask is not there, or is of another mesh.
    """
    if not surfaces:
        raise UserError("expected the surface of a hemisphere, --lh lh.sphere or --rh rh.sphere, found none")
    folder = existing_folder(str(root))
    lines, edge = ["target,x,y,z"], None
    for hemisphere, path in surfaces.items():
        places = _places(folder, hemisphere, path)
        if edge is not None:
            places[:, 0] += edge + _GAP * np.ptp(places[:, 0]) - places[:, 0].min()
        edge = float(places[:, 0].max())
        names = vertex_names(f"{before}{hemisphere}", range(len(places)))
        lines += [
            f"{name},{x:.6g},{y:.6g},{z:.6g}" for name, (x, y, z) in zip(names, places.tolist(), strict=True)
        ]
    with writing(out), atomic(out) as file:
        file.write(("\n".join(lines) + "\n").encode())
    return len(lines) - 1


def _places(folder: Path, hemisphere: str, path: Path) -> Float[np.ndarray, "k 3"]:
    """Of the vertices that the hemisphere's responses have, in their order."""
    masks = folder / "roi_masks"
    marked, vertices = read_marked(masks, hemisphere), read_vertices(path)
    if len(marked) != len(vertices):
        raise UserError(
            f"{path}: expected the mesh of {masks}/{hemisphere}.all-vertices_fsaverage_space.npy, {len(marked)} "
            f"vertices (fsaverage has 163842), found {len(vertices)}"
        )
    if not marked.any():
        raise UserError(f"{masks}/{hemisphere}.all-vertices_fsaverage_space.npy: marks no vertex")
    return vertices[marked]

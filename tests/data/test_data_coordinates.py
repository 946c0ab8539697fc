"""Where an Algonauts subject's vertices lie: FreeSurfer's format written byte by byte, and joined by name."""

import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from jaxlab.cli.main import main
from jaxlab.core.types import UserError
from jaxlab.data.readers.surface import read_vertices
from jaxlab.heads.coordinates import read_coordinates

LEFT = np.array([[-1, 0, 0], [0, 2, 0], [1, 0, 3], [0, -2, 0.5]], np.float32)
RIGHT = LEFT[::-1] * 10
MARKED = {"lh": [1, 0, 1, 1], "rh": [0, 1, 1, 0]}


def surface(path: Path, vertices: np.ndarray, counted: int | None = None) -> Path:
    """As FreeSurfer's documentation has it: mark, two lines, counts, vertices and triangles, big-endian."""
    head = b"\xff\xff\xfecreated by somebody\non a day\n" + struct.pack(">ii", counted or len(vertices), 1)
    numbers = struct.pack(f">{vertices.size}f", *vertices.ravel().tolist())
    path.write_bytes(head + numbers + struct.pack(">3i", 0, 1, 2))
    return path


def written(folder: Path, *options: str):
    masks = folder / "subj01/roi_masks"
    masks.mkdir(parents=True)
    for hemisphere, marked in MARKED.items():
        np.save(masks / f"{hemisphere}.all-vertices_fsaverage_space.npy", np.array(marked, float))
    surface(folder / "lh.sphere", LEFT)
    np.save(folder / "rh.npy", RIGHT)
    out = folder / "sphere.csv"
    return out, CliRunner().invoke(main, ["data", "coordinates", str(folder / "subj01"), str(out), *options])


def test_both_hemispheres_lie_side_by_side(tmp_path):
    out, result = written(tmp_path, "--lh", str(tmp_path / "lh.sphere"), "--rh", str(tmp_path / "rh.npy"))
    assert result.exit_code == 0, result.output
    table = pd.read_csv(out, index_col="target")
    assert table.index.tolist() == ["lh.00000", "lh.00001", "lh.00002", "rh.00000", "rh.00001"]
    np.testing.assert_allclose(table.to_numpy()[:3], LEFT[[0, 2, 3]])
    right = table.to_numpy()[3:] - RIGHT[[1, 2]]
    assert np.ptp(right[:, 0]) == 0, "moved as a whole"
    assert not right[:, 1:].any()
    assert table.x[3:].min() == pytest.approx(table.x[:3].max() + 0.1 * np.ptp(RIGHT[[1, 2], 0]))
    assert read_coordinates(out, ("rh.00001", "lh.00000")).shape == (2, 3)


@pytest.mark.parametrize(
    ("options", "before"), [(["--with-subject"], "subj01."), (["--pooled"], "subj01/"), ([], "")]
)
def test_names_may_have_the_subject(tmp_path, options, before):
    """Pooled data find any of them."""
    out, result = written(tmp_path, "--rh", str(tmp_path / "rh.npy"), *options)
    assert result.exit_code == 0, result.output
    assert pd.read_csv(out).target.tolist() == [f"{before}rh.00000", f"{before}rh.00001"]
    placed = read_coordinates(out, ("subj01/rh.00001", "subj01/rh.00000"))
    np.testing.assert_allclose(placed, np.array([[0, 20, 0], [10, 0, 30]]) / 30 * 100, rtol=1e-5)
    with pytest.raises(UserError, match="expected coordinates of 2 targets, found none of"):
        read_coordinates(out, ("subj01/rh.00001", "subj02/rh.00000"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "expected the surface of a hemisphere, --lh lh.sphere or --rh rh.sphere, found none"),
        (["--lh", "gone"], "gone cannot be read (No such file"),
        (["--lh", "other.npy"], "(fsaverage has 163842), found 3"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    np.save("other.npy", LEFT[:3])
    out, result = written(tmp_path, *options)
    assert result.exit_code == 1
    assert words in " ".join(result.output.split())
    assert not out.exists()


def test_files_that_are_no_surfaces_are_named(tmp_path):
    torn, short, other, nowhere = (tmp_path / name for name in ("lh.sphere", "lh.white", "lh.gii", "lh.npy"))
    short.write_bytes(b"\xff\xff\xfecreated")
    surface(torn, LEFT, counted=10**6)
    other.write_text("<GIFTI>")
    np.save(nowhere, np.full((4, 3), np.nan))
    for path, words in (
        (torn, "torn: fewer vertices than it says"),
        (short, "torn: fewer vertices than it says"),
        (other, r"nibabel\.load\(FILE\)"),
        (nowhere, "4 of 4 vertices are nowhere"),
    ):
        with pytest.raises(UserError, match=words):
            read_vertices(path)
    np.testing.assert_array_equal(read_vertices(surface(torn, LEFT)), LEFT)

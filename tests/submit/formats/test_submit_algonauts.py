"""The zip is read back with zipfile and numpy.load; its faults are planted with them too."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from submit import Predictions, SubmissionError, algonauts, check
from submit.formats.algonauts_layout import CHALLENGE, Subject, file_names

VERTICES = {"subj01": {"lh": 7, "rh": 5}, "subj02": {"lh": 7, "rh": 4}}
IMAGES = {"subj01": 4, "subj02": 6}
Arrays = dict[str, np.ndarray]


def stems(subject: str) -> list[str]:
    return [f"test-{k + 1:04d}_nsd-{10 * k + int(subject[-1]):05d}" for k in range(IMAGES[subject])]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The challenge's tree of two subjects; the images are empty files, they are not opened."""
    for subject, vertices in VERTICES.items():
        images = tmp_path / "data" / subject / "test_split/test_images"
        fmri = tmp_path / "data" / subject / "training_split/training_fmri"
        images.mkdir(parents=True)
        fmri.mkdir(parents=True)
        for stem in stems(subject):
            (images / f"{stem}.png").touch()
        (images / ".DS_Store").touch()
        for hemisphere, count in vertices.items():
            np.save(fmri / f"{hemisphere}_training_fmri.npy", np.zeros((3, count), np.float32))
    return tmp_path / "data"


def values(subject: str) -> Arrays:
    rng = np.random.default_rng(int(subject[-1]))
    return {
        hemisphere: rng.standard_normal((IMAGES[subject], count)).astype(np.float32)
        for hemisphere, count in VERTICES[subject].items()
    }


def predicted(subject: str, hemispheres: str = "lh rh", prefix: str = "") -> Predictions:
    """Samples and targets in an order of their own."""
    found = values(subject)
    sides = hemispheres.split()
    targets = np.array([f"{prefix}{side}.{k:05d}" for side in sides for k in range(found[side].shape[1])])
    rows = np.random.default_rng(0).permutation(IMAGES[subject])
    columns = np.random.default_rng(1).permutation(len(targets))
    joined = np.concatenate([found[side] for side in sides], axis=1)
    return Predictions(
        np.array(stems(subject))[rows],
        joined[rows][:, columns],
        targets[columns],
        provenance={"run": subject},
    )


@pytest.fixture
def members() -> dict[str, Predictions]:
    return {subject: predicted(subject) for subject in VERTICES}


def read(path: Path) -> Arrays:
    with zipfile.ZipFile(path) as archive:
        return {name: np.load(io.BytesIO(archive.read(name))) for name in archive.namelist()}


EXPECTED = {
    f"{subject}/{side}_pred_test.npy": array
    for subject in VERTICES
    for side, array in values(subject).items()
}


def same(found: Arrays) -> None:
    assert sorted(found) == sorted(EXPECTED)
    for name, array in EXPECTED.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


def test_the_sizes_of_the_challenge():
    names = file_names(CHALLENGE)
    assert len(names) == 16
    assert names["subj06/rh_pred_test.npy"] == (293, 20220)
    assert names["subj08/lh_pred_test.npy"] == (395, 18981)
    total = 4 * sum(rows * columns for rows, columns in names.values())
    assert 317e6 < total < 319e6  # more than the 300 MB allowed, which deflating saves


def test_a_zip_of_rows_by_file_name_and_columns_by_vertex(members, root, tmp_path):
    path = algonauts.write(members, tmp_path / "out.zip", root)
    same(read(path))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_DEFLATED}
    assert algonauts.check(path, root) == []
    sidecar = json.loads((tmp_path / "out.zip.provenance.json").read_text())
    assert "subj02" in json.dumps(sidecar)
    again = algonauts.write(members, tmp_path / "again.zip", root)
    assert again.read_bytes() == path.read_bytes()


def test_a_folder(members, root, tmp_path):
    path = algonauts.write(members, tmp_path / "out", root)
    same({str(file.relative_to(path)): np.load(file) for file in path.rglob("*.npy")})
    assert algonauts.check(path, root) == []
    with pytest.raises(SubmissionError, match="there is something already"):
        algonauts.write(members, path, root)


def test_files_a_folder_of_them_and_one_file_a_hemisphere(members, root, tmp_path):
    for subject, one in members.items():
        one.save(tmp_path / f"members/{subject}.npz")
    same(read(algonauts.write(tmp_path / "members", tmp_path / "a.zip", root)))
    halves = {subject: [predicted(subject, "lh"), predicted(subject, "rh")] for subject in VERTICES}
    same(read(algonauts.write(halves, tmp_path / "b.zip", root)))


def test_all_subjects_in_one(tmp_path, root):
    """Predictions of images that all saw, known by what follows the last _ of the file name."""
    for k, stem in enumerate(stems("subj02")):
        file = root / f"subj02/test_split/test_images/{stem}.png"
        if k < 4:
            file.rename(file.with_name(f"test-{k + 1:04d}_nsd-{10 * k + 1:05d}.png"))
        else:
            file.unlink()
    one, two = predicted("subj01", prefix="subj01."), predicted("subj02", prefix="subj02.")
    ids = np.array([name.rpartition("_")[2] for name in one.ids])
    both = Predictions(
        ids,
        np.concatenate([one.values, two.values[:4]], axis=1),
        np.concatenate([one.targets, two.targets]),
    )
    found = read(algonauts.write(both, tmp_path / "out.zip", root))
    np.testing.assert_array_equal(found["subj01/rh_pred_test.npy"], EXPECTED["subj01/rh_pred_test.npy"])
    assert found["subj02/lh_pred_test.npy"].shape == (4, 7)


def test_every_fault_of_the_predictions_at_once_and_nothing_is_written(members, root, tmp_path):
    good = members["subj01"]
    lh = np.char.startswith(good.targets, "lh")
    numbers = np.char.partition(good.targets, ".")[:, 2].astype(int)
    broken = good.values.copy()
    broken[:, lh & (numbers == 2)] = 3
    broken[1, lh & (numbers == 4)] = np.nan
    kept = ~(~lh & (numbers == 1))
    members["subj01"] = Predictions(good.ids, broken[:, kept], good.targets[kept])
    members["subj02"] = Predictions(
        members["subj02"].ids, members["subj02"].values[:, :1], np.array(["V1.1"])
    )
    members["subj09"] = good
    with pytest.raises(SubmissionError) as caught:
        algonauts.write(members, tmp_path / "out.zip", root)
    assert str(caught.value).splitlines() == [
        f"{tmp_path / 'out.zip'} was not written:",
        "- 1 subjects in the predictions that are not expected: 'subj09'",
        "- subj01/lh_pred_test.npy: 1 columns hold values that are not finite: '4'",
        "- subj01/lh_pred_test.npy: 1 columns are constant: '2'",
        "- subj01/rh_pred_test.npy: 1 of 5 targets are not predicted: '1'; the challenge takes all or nothing, so add "
        "predictions of the others",
        "- subj02: 1 targets are not named by one of lh, rh and a number, as 'lh.00042': 'V1.1'.",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_predictions_that_do_not_fit(members, root, tmp_path):
    def refused(words: str, given=members, against: Path | None = root) -> None:
        with pytest.raises(SubmissionError, match=words):
            algonauts.write(given, tmp_path / "out.zip", against)

    refused("1 subjects missing from the predictions: 'subj02'", {"subj01": members["subj01"]})
    called = r"expected subjects named subj01 to subj08, as in subj01=FILE; found 'subj1'$"
    refused(called, {"subj1": members["subj01"]}, None)
    swapped = {"subj01": members["subj01"], "subj02": members["subj01"]}
    refused("subj02: 6 test images missing from the predictions: 'test-0001_nsd-00002'", swapped)
    refused("expected 159 test samples, found 4", members, None)
    one = members["subj01"]
    unpadded = Predictions(np.array([str(k) for k in range(159)]), np.zeros((159, 12)), one.targets)
    refused(
        "the order of the samples is not clear: '109' comes before '11' as text", {"subj01": unpadded}, None
    )
    twice = {**members, "subj01": [members["subj01"], predicted("subj01", "lh")]}
    refused("7 targets are predicted more than once: '0', '1'", twice)
    refused("expected predictions by subject, as in subj01=FILE", members["subj01"])
    refused("subj01/lh_pred_test.npy: nothing of it is predicted", {**members, "subj01": []})
    refused("expected subj01.npz and so on, found no npz", tmp_path)
    refused("expected the challenge's data", members, tmp_path)
    (root / "subj01/training_split/training_fmri/lh_training_fmri.npy").write_bytes(b"x")
    refused("lh_training_fmri.npy: expected an array")
    assert not (tmp_path / "out.zip").exists()


def planted(path: Path, change: Callable[[Arrays], object], prefix: str = "") -> Path:
    arrays = {name: array.copy() for name, array in EXPECTED.items()}
    change(arrays)
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            archive.writestr(prefix + name, npy(array) if isinstance(array, np.ndarray) else array)
    return path


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


LH = "subj01/lh_pred_test.npy"


def stored(array: np.ndarray, shape: tuple[int, ...] | None = None) -> bytes:
    """A .npy file, whose header may tell another shape."""
    stream = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": shape or array.shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + array.tobytes()


def put(name: str, array: object) -> Callable[[Arrays], object]:
    return lambda arrays: arrays.update({name: array})


def spoil(position: object, value: float) -> Callable[[Arrays], object]:
    return lambda arrays: arrays[LH].__setitem__(position, value)


FAULTS = {
    "missing": (lambda arrays: arrays.pop(LH), f"1 of 4 files are missing: '{LH}'"),
    "extra": (put("README.txt", b"hello"), "1 files do not belong in it: 'README.txt'"),
    "rows": (put(LH, EXPECTED[LH][:3]), f"{LH}: expected shape (4, 7), found (3, 7)"),
    "columns": (put(LH, EXPECTED[LH][:, 1:]), f"{LH}: expected shape (4, 7), found (4, 6)"),
    "flat": (put(LH, EXPECTED[LH].ravel()), f"{LH}: expected shape (4, 7), found (28,)"),
    "float64": (put(LH, EXPECTED[LH].astype(np.float64)), f"{LH}: expected float32, found float64"),
    "objects": (put(LH, EXPECTED[LH].astype(object)), f"{LH}: expected float32, found object"),
    "NaN": (spoil((1, 3), np.nan), f"{LH}: 1 columns hold values that are not finite: '3'"),
    "infinite": (spoil((1, 6), -np.inf), f"{LH}: 1 columns hold values that are not finite: '6'"),
    "constant": (spoil((slice(None), 5), 2), f"{LH}: 1 columns are constant: '5'"),
    "turned": (put(LH, EXPECTED[LH].T), f"{LH}: expected shape (4, 7), found (7, 4)"),
    "no array": (put(LH, b"text"), f"{LH}: the file is damaged or no .npy array"),
    "header cut": (
        put(LH, b"\x93NUMPY\x01\0\x0b\0{'descr': (\n"),
        f"{LH}: the file is damaged or no .npy array",
    ),
    "cut": (put(LH, stored(EXPECTED[LH])[:-5]), f"{LH}: expected 112 bytes of values, found 107"),
    "sizes below 0": (put(LH, stored(EXPECTED[LH], (-4, -7))), f"{LH}: the file is damaged or no .npy array"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_a_file(fault, root, tmp_path):
    change, message = FAULTS[fault]
    (found,) = algonauts.check(planted(tmp_path / "x.zip", change), root)
    assert found.startswith(message)


def test_all_faults_of_a_file_at_once(root, tmp_path, monkeypatch):
    def change(arrays: Arrays) -> None:
        wide = np.concatenate([arrays[LH], arrays[LH][:, :1]], axis=1).astype(np.float64)
        wide[:, 5], wide[0, 2] = 1, np.inf
        del arrays["subj02/rh_pred_test.npy"]
        arrays.update({LH: wide, "notes/x.txt": b""})

    monkeypatch.setattr(algonauts, "MOST_BYTES", 1000)
    assert algonauts.check(planted(tmp_path / "x.zip", change, "submission/"), root) == [
        "the zip has 0 MB; the challenge takes at most 0 MB",
        "the files lie in a folder 'submission/': zip what is in it, not the folder itself",
        "1 of 4 files are missing: 'subj02/rh_pred_test.npy'",
        "1 files do not belong in it: 'notes/x.txt'",
        f"{LH}: expected shape (4, 7), found (4, 8)",
        f"{LH}: expected float32, found float64",
        f"{LH}: 1 columns hold values that are not finite: '2'",
        f"{LH}: 1 columns are constant: '5'",
    ]


def test_other_containers(root, tmp_path):
    good = planted(tmp_path / "x.zip", lambda arrays: None)
    assert algonauts.check(good, root) == []
    turned = planted(tmp_path / "turned.zip", put(LH, np.asfortranarray(EXPECTED[LH])))
    assert algonauts.check(turned, root) == []
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(good, "a") as archive:
        archive.writestr(LH, archive.read(LH))
    assert algonauts.check(good, root) == [f"1 files are in it more than once: '{LH}'"]
    assert "there is no such file" in algonauts.check(tmp_path / "none.zip", root)[0]
    (tmp_path / "text.zip").write_text("text")
    assert "expected a zip" in algonauts.check(tmp_path / "text.zip", root)[0]
    damaged = bytearray(turned.read_bytes())
    damaged[200] ^= 1
    turned.write_bytes(damaged)
    assert "the file is damaged" in algonauts.check(turned, root)[0]


def test_one_run_for_two_subjects(tmp_path, monkeypatch):
    """Without the data, ids say nothing: any subject of as many images may be meant."""
    sizes = {subject: Subject(4, VERTICES["subj01"]) for subject in ("subj01", "subj02")}
    monkeypatch.setattr(algonauts, "layout", lambda root: sizes)
    one = predicted("subj01")
    with pytest.raises(SubmissionError, match=r"subj02/rh_pred_test\.npy: its values are those of subj01/rh"):
        algonauts.write({"subj01": one, "subj02": one}, tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for subject, side in [("subj01", "lh"), ("subj01", "rh"), ("subj02", "lh"), ("subj02", "rh")]:
            array = EXPECTED[f"subj01/{side}_pred_test.npy"]
            order = np.asfortranarray if subject == "subj02" else np.ascontiguousarray
            archive.writestr(f"{subject}/{side}_pred_test.npy", npy(order(array)))
    assert algonauts.check(tmp_path / "x.zip") == [
        f"subj02/{side}_pred_test.npy: its values are those of subj01/{side}_pred_test.npy; was one run given for two "
        "subjects?"
        for side in ("lh", "rh")
    ]


def test_two_subjects_exchanged_are_known_by_their_images(root, tmp_path):
    """Of equal sizes, so that nothing else tells."""
    for stem in stems("subj02")[4:]:
        (root / f"subj02/test_split/test_images/{stem}.png").unlink()
    np.save(root / "subj02/training_split/training_fmri/rh_training_fmri.npy", np.zeros((3, 5), np.float32))
    one = predicted("subj01")
    two = Predictions(np.array(stems("subj02")[:4]), one.values + 1, one.targets)
    algonauts.write({"subj01": one, "subj02": two}, tmp_path / "out.zip", root)
    with pytest.raises(SubmissionError, match="subj01: 4 test images missing from the predictions"):
        algonauts.write({"subj01": two, "subj02": one}, tmp_path / "x.zip", root)


@pytest.mark.parametrize(
    "kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_no_damage_ends_in_a_traceback_or_goes_unnoticed(kind, root, tmp_path):
    """Any bit turned, anywhere: what is then read is as before, or there is a fault."""
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, array in EXPECTED.items():
            archive.writestr(name, npy(array))
    good, random = path.read_bytes(), np.random.default_rng(0)
    for place, bit in zip(random.integers(len(good), size=100), random.integers(8, size=100), strict=True):
        damaged = bytearray(good)
        damaged[place] ^= 1 << bit
        path.write_bytes(damaged)
        if not check(path, root):
            same(read(path))


def test_a_zip_of_macos(root, tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.mkdir("submission")
        for name, array in EXPECTED.items():
            archive.writestr(f"submission/{name}", npy(array))
            archive.writestr(f"__MACOSX/submission/{name.replace('/', '/._')}", b"")
        archive.writestr("submission/.DS_Store", b"")
    around, extra = algonauts.check(tmp_path / "x.zip", root)
    assert around == "the files lie in a folder 'submission/': zip what is in it, not the folder itself"
    assert extra.startswith("5 files do not belong in it: '__MACOSX/submission/subj01/._lh_pred_test.npy'")


def test_a_zip_that_is_too_large_is_not_written(members, root, tmp_path, monkeypatch):
    monkeypatch.setattr(algonauts, "MOST_BYTES", 1000)
    with pytest.raises(SubmissionError, match="the challenge takes at most 0 MB"):
        algonauts.write(members, tmp_path / "out.zip", root)
    assert not (tmp_path / "out.zip").exists()

"""Algonauts 2023 folders: rows, vertices and regions of one subject and of several, and what is said of faults."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import trained_run

from jaxlab import load
from jaxlab.core.types import UserError
from jaxlab.data import Algonauts, Images, decode
from jaxlab.data.source import Opened
from submit import Predictions, algonauts

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
SEEN = [13, 4, 90, 7, 55, 21]  # NSD images in the order in which the subject's files are numbered
MASKS = {  # of 5 left and 3 right vertices
    "lh.prf-visualrois": [1, 0, 2, 1, 0],
    "rh.prf-visualrois": [0, 1, 0],
    "lh.floc-faces": [0, 0, 1, 0, 0],
    "rh.floc-faces": [0, 0, 0],
}
MAPPINGS = {
    "prf-visualrois": {0: "Unknown", 1: "V1v", 2: "V2d"},
    "floc-faces": {0: "Unknown", 1: "FFA-1", 2: "OFA"},
}


def subject(folder: Path, seen: list[int] = SEEN, size: int = 8, seed: int = 0) -> dict[str, np.ndarray]:
    """A subject's folder; its responses by hemisphere."""
    rng = np.random.default_rng(seed)
    for split, numbers in (("training", seen), ("test", [1, 2])):
        images = (
            folder / f"{split.removesuffix('ing')}_split" if split == "test" else folder / "training_split"
        )
        (images / f"{split}_images").mkdir(parents=True)
        for k, number in enumerate(numbers):
            name = f"{'train' if split == 'training' else 'test'}-{k + 1:04d}_nsd-{number:05d}.png"
            picture = np.random.default_rng(number).integers(0, 256, (size, size, 3), dtype=np.uint8)
            Image.fromarray(picture).save(images / f"{split}_images" / name)
    (folder / "training_split/training_fmri").mkdir()
    (folder / "roi_masks").mkdir()
    responses = {}
    for hemisphere, vertices in (("lh", 5), ("rh", 3)):
        responses[hemisphere] = rng.normal(size=(len(seen), vertices)).astype(np.float32)
        np.save(
            folder / f"training_split/training_fmri/{hemisphere}_training_fmri.npy", responses[hemisphere]
        )
    for name, numbers in MASKS.items():
        np.save(folder / f"roi_masks/{name}_challenge_space.npy", np.array(numbers))
    for name, mapping in MAPPINGS.items():
        np.save(folder / f"roi_masks/mapping_{name}.npy", mapping)  # type: ignore[arg-type]
    return responses


def opened(folder: Path, **fields: object) -> Opened:
    return Algonauts(root=str(folder), **fields).open()


def test_all_vertices(tmp_path: Path) -> None:
    responses = subject(tmp_path)
    data = opened(tmp_path)
    np.testing.assert_array_equal(data.train.target, np.hstack([responses["lh"], responses["rh"]]))
    assert data.train.target.dtype == np.float32
    assert data.targets == (*(f"lh.{k:05d}" for k in range(5)), *(f"rh.{k:05d}" for k in range(3)))
    assert data.train.ids[:2].tolist() == ["train-0001_nsd-00013", "train-0002_nsd-00004"]
    assert data.test is not None
    assert data.test.ids.tolist() == ["test-0001_nsd-00001", "test-0002_nsd-00002"]
    with Image.open(tmp_path / "training_split/training_images/train-0003_nsd-00090.png") as image:
        np.testing.assert_array_equal(data.train.read(2), np.asarray(image))
    assert {name: np.flatnonzero(inside).tolist() for name, inside in data.rois.items()} == {
        "V1v": [0, 3, 6],
        "V2d": [2],
        "prf-visualrois": [0, 2, 3, 6],
        "FFA-1": [2],
        "floc-faces": [2],
    }


def test_names_are_those_that_a_submission_goes_by(tmp_path: Path) -> None:
    members, expected = {}, {}
    for seed, name in enumerate(("subj01", "subj02")):
        subject(tmp_path / "data" / name, seed=seed)
        data = opened(tmp_path / "data" / name, hemispheres=("rh", "lh"))
        assert data.test is not None
        values = np.random.default_rng(seed).normal(size=(2, 8)).astype(np.float32)
        members[name] = Predictions(data.test.ids[::-1], values, np.array(data.targets))
        expected[name] = {"rh": values[::-1, :3], "lh": values[::-1, 3:]}
    path = algonauts.write(members, tmp_path / "out", tmp_path / "data")
    for name, sides in expected.items():
        for side, array in sides.items():
            np.testing.assert_array_equal(np.load(path / name / f"{side}_pred_test.npy"), array, strict=True)


@pytest.mark.parametrize(
    ("rois", "hemispheres", "targets"),
    [
        (("V1v",), ("lh", "rh"), ["lh.00000", "lh.00003", "rh.00001"]),
        (("V2d", "FFA-1"), ("lh", "rh"), ["lh.00002"]),
        (("floc-faces", "V1v"), ("lh", "rh"), ["lh.00000", "lh.00002", "lh.00003", "rh.00001"]),
        (("prf-visualrois",), ("rh",), ["rh.00001"]),
        ((), ("rh", "lh"), [*(f"rh.{k:05d}" for k in range(3)), *(f"lh.{k:05d}" for k in range(5))]),
    ],
)
def test_regions_choose_targets(tmp_path: Path, rois, hemispheres, targets) -> None:
    responses = subject(tmp_path)
    data = opened(tmp_path, rois=rois, hemispheres=hemispheres)
    assert list(data.targets) == targets
    for column, name in enumerate(targets):
        np.testing.assert_array_equal(data.train.target[:, column], responses[name[:2]][:, int(name[3:])])
    assert all(inside.shape == (len(targets),) and inside.any() for inside in data.rois.values())


def test_masks_in_fsaverage_space_alone(tmp_path: Path) -> None:
    subject(tmp_path)
    expected = opened(tmp_path, rois=("V1v",))
    masks = tmp_path / "roi_masks"
    for hemisphere, places, length in (("lh", [1, 2, 5, 8, 9], 12), ("rh", [0, 3, 4], 6)):
        marked = np.zeros(length, np.float32)
        marked[places] = 1
        np.save(masks / f"{hemisphere}.all-vertices_fsaverage_space.npy", marked)
        for kind in MAPPINGS:
            whole = np.full(length, 2)  # outside the challenge's vertices, other numbers
            whole[places] = MASKS[f"{hemisphere}.{kind}"]
            np.save(masks / f"{hemisphere}.{kind}_fsaverage_space.npy", whole)
            (masks / f"{hemisphere}.{kind}_challenge_space.npy").unlink()
    data = opened(tmp_path, rois=("V1v",))
    assert data.targets == expected.targets
    np.testing.assert_array_equal(data.train.target, expected.train.target)


def test_several_subjects_share_the_images_that_all_saw(tmp_path: Path) -> None:
    other = [90, 3, 13, 8, 21]
    first, second = subject(tmp_path / "subj01"), subject(tmp_path / "subj02", other, seed=1)
    data = opened(tmp_path, subjects=("subj01", "subj02"), rois=("V1v",))
    shared = [13, 21, 90]
    assert data.train.ids.tolist() == [f"nsd-{number:05d}" for number in shared]
    assert data.targets[:4] == ("subj01.lh.00000", "subj01.lh.00003", "subj01.rh.00001", "subj02.lh.00000")
    for row, number in enumerate(shared):
        np.testing.assert_array_equal(data.train.target[row, :2], first["lh"][SEEN.index(number), [0, 3]])
        np.testing.assert_array_equal(data.train.target[row, 3:5], second["lh"][other.index(number), [0, 3]])
        picture = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        np.testing.assert_array_equal(data.train.read(row), picture)
    assert data.test is not None
    assert data.test.ids.tolist() == ["nsd-00001", "nsd-00002"]
    assert data.rois["V1v"].all()
    alone = opened(tmp_path, subjects=("subj02",))
    assert (alone.train.ids[0], alone.targets[0]) == ("train-0001_nsd-00090", "lh.00000")


def test_predicting_needs_no_responses(tmp_path: Path) -> None:
    subject(tmp_path)
    for file in (tmp_path / "training_split/training_fmri").iterdir():
        file.unlink()
    test, sample = Algonauts(root=str(tmp_path)).open_test()
    assert (len(test), sample) == (2, None)


def fmri(folder: Path, hemisphere: str) -> Path:
    return folder / f"training_split/training_fmri/{hemisphere}_training_fmri.npy"


def save(path: str, array: object):
    return lambda folder: np.save(folder / path, array)  # type: ignore[arg-type]


def with_nan(folder: Path) -> None:
    responses = np.load(fmri(folder, "rh"))
    responses[4, 1] = np.nan
    np.save(fmri(folder, "rh"), responses)


def both_wrong(folder: Path) -> None:
    fmri(folder, "rh").unlink()
    np.save(fmri(folder, "lh"), np.zeros((5, 5), np.float32))


def unsafe(folder: Path) -> None:
    path = folder / "roi_masks/mapping_floc-faces.npy"
    class_of_os = b"cos\nsystem\n(S'touch " + str(folder / "ran").encode() + b"'\ntR."
    header = path.read_bytes()[: path.read_bytes().index(b"\n") + 1]
    path.write_bytes(header + class_of_os)


FAULTS = {
    "lengths": (
        lambda folder: next((folder / "training_split/training_images").iterdir()).unlink(),
        {},
        ["lh_training_fmri.npy: has 6 rows, but training_images holds 5 images", "rh_training_fmri.npy"],
    ),
    "two faults": (
        both_wrong,
        {},
        ["lh_training_fmri.npy: has 5 rows", "rh_training_fmri.npy: no such file"],
    ),
    "unknown region": (
        lambda folder: None,
        {"rois": ("V1", "FFA-1")},
        ["no region 'V1'; regions there: FFA-1, OFA, V1v, V2d, floc-faces, prf-visualrois"],
    ),
    "empty region": (lambda folder: None, {"rois": ("OFA",)}, ["no vertex of lh, rh belongs to 'OFA'"]),
    "NaN": (with_nan, {}, ["rh_training_fmri.npy: 1 values are not finite"]),
    "dtype": (
        save("training_split/training_fmri/lh_training_fmri.npy", np.zeros(6)),
        {},
        ["expected floats (images, vertices), found float64 (6,)"],
    ),
    "mask length": (
        save("roi_masks/lh.floc-faces_challenge_space.npy", np.zeros(4, int)),
        {},
        ["lh.floc-faces_challenge_space.npy: has 4 vertices, but the responses have 5"],
    ),
    "mask number": (
        save("roi_masks/lh.floc-faces_challenge_space.npy", np.full(5, 7)),
        {},
        ["lh.floc-faces holds the numbers 7, which mapping_floc-faces.npy does not name"],
    ),
    "mask dtype": (
        save("roi_masks/lh.floc-faces_challenge_space.npy", np.full(5, 0.5)),
        {},
        ["expected whole numbers (vertices,), found float64 (5,)"],
    ),
    "all vertices": (
        save("roi_masks/lh.all-vertices_fsaverage_space.npy", np.ones(9)),
        {},
        ["marks 9 vertices, but the responses have 5"],
    ),
    "fsaverage without vertices": (
        save("roi_masks/lh.streams_fsaverage_space.npy", np.ones(9)),
        {"hemispheres": ("lh",)},
        ["lh.streams_fsaverage_space.npy: of no use without lh.all-vertices_fsaverage_space.npy"],
    ),
    "no mapping": (
        lambda folder: (folder / "roi_masks/mapping_floc-faces.npy").unlink(),
        {},
        ["mapping_floc-faces.npy: no such file"],
    ),
    "unsafe": (unsafe, {}, ["not opened: its pickle asks for os.system", "can run programs"]),
    "mapping of arrays": (
        save("roi_masks/mapping_floc-faces.npy", np.array({1: ["FFA"]})),
        {},
        ["expected a dict of whole numbers to names, found {1: ['FFA']}"],
    ),
    "mapping is an array": (
        save("roi_masks/mapping_floc-faces.npy", np.ones(3)),
        {},
        ["float64 of shape (3,)"],
    ),
    "no images": (
        lambda folder: (folder / "training_split").rename(folder / "training"),
        {},
        ["training_images: no such folder"],
    ),
    "subject": (lambda folder: None, {"subjects": ("subj09",)}, ["no folder subj09; subjects here: none"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_explained(tmp_path: Path, fault: str) -> None:
    subject(tmp_path)
    change, fields, words = FAULTS[fault]
    change(tmp_path)
    with pytest.raises(UserError) as error:
        opened(tmp_path, **fields)
    assert all(word in str(error.value) for word in words), error.value
    assert not (tmp_path / "ran").exists()


# The kind: a download of which a part is missing, so that what is there would be taken for all of it. Absence is judged
# for each subject and hemisphere, whether the part was asked for (`rois`) or only sorts the targets into regions.
ABSENT = {
    "a class": ("rh.prf-visualrois_challenge_space.npy",),
    "all classes": ("rh.prf-visualrois_challenge_space.npy", "rh.floc-faces_challenge_space.npy"),
    "the left": ("lh.floc-faces_challenge_space.npy",),
}


@pytest.mark.parametrize("files", ABSENT.values(), ids=list(ABSENT))
@pytest.mark.parametrize("rois", [("prf-visualrois",), ("FFA-1",), ()])
@pytest.mark.parametrize("several", [False, True])
def test_half_a_download_is_refused(tmp_path: Path, files, rois, several: bool) -> None:
    names = ("subj01", "subj02") if several else ("subj02",)
    for name in names:
        subject(tmp_path / name)
    for file in files:
        (tmp_path / "subj02/roi_masks" / file).unlink()
    with pytest.raises(
        UserError, match=f"subj02/roi_masks: no {files[-1]}.*half a download.*data.hemispheres"
    ) as error:
        opened(tmp_path, subjects=names, rois=rois)
    assert "subj01/roi_masks" not in str(error.value)
    other = "lh" if files[0].startswith("rh") else "rh"
    assert opened(
        tmp_path, subjects=("subj02",), rois=rois and ("prf-visualrois",), hemispheres=(other,)
    ).targets


def test_a_hemisphere_without_a_vertex_of_the_regions_is_told_of(tmp_path: Path) -> None:
    subject(tmp_path / "subj01")
    file = tmp_path / "subj01/roi_masks/rh.prf-visualrois_challenge_space.npy"
    np.save(file, np.zeros_like(np.load(file)))
    data = opened(tmp_path, subjects=("subj01",), rois=("prf-visualrois",))
    assert {name.split(".")[0] for name in data.targets} == {"lh"}
    (note,) = data.notes
    assert (
        "no vertex of rh belongs to 'prf-visualrois': all targets of subj01 are of the other hemisphere"
        in note
    )
    assert opened(tmp_path, subjects=("subj01",)).notes == ()


def test_a_subject_without_any_mask(tmp_path: Path) -> None:
    for name in ("subj01", "subj02"):
        subject(tmp_path / name)
    for file in (tmp_path / "subj01/roi_masks").iterdir():
        file.unlink()
    with pytest.raises(UserError, match=r"subj01/roi_masks: no lh\.floc-faces_challenge_space\.npy"):
        opened(tmp_path, subjects=("subj01", "subj02"))
    assert opened(tmp_path, subjects=("subj01",)).rois == {}


def test_a_region_that_one_subjects_mapping_does_not_name(tmp_path: Path) -> None:
    for name in ("subj01", "subj02"):
        subject(tmp_path / name)
    mapping = {0: "Unknown", 1: "V1v", 2: "V2v"}
    np.save(tmp_path / "subj02/roi_masks/mapping_prf-visualrois.npy", mapping)  # type: ignore[arg-type]
    both = ("subj01", "subj02")
    with pytest.raises(UserError, match=r"subj02/roi_masks: no region 'V2d' of lh, though another"):
        opened(tmp_path, subjects=both, rois=("V2d", "V1v"))
    assert opened(tmp_path, subjects=both, rois=("V1v",)).targets


def test_test_images_of_one_subject_alone(tmp_path: Path) -> None:
    for name in ("subj01", "subj02"):
        subject(tmp_path / name)
    (tmp_path / "subj02/test_split/test_images").rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"subj02/test_split/test_images: no such folder, though other"):
        opened(tmp_path, subjects=("subj01", "subj02"))
    (tmp_path / "subj01/test_split/test_images").rename(tmp_path / "elsewhere too")
    assert opened(tmp_path, subjects=("subj01", "subj02")).test is None


def test_a_parent_of_subjects_asks_which(tmp_path: Path) -> None:
    subject(tmp_path / "subj03")
    with pytest.raises(UserError, match=r"found those of subj03: choose with data.subjects"):
        opened(tmp_path)
    subject(tmp_path / "subj04", [1, 2])
    with pytest.raises(UserError, match="no image that all subjects saw"):
        opened(tmp_path, subjects=("subj03", "subj04"))


def test_wrong_fields_are_explained() -> None:
    with pytest.raises(UserError, match="expected lh, rh or both, found none"):
        Algonauts(hemispheres=())
    with pytest.raises(UserError, match="lh more than once"):
        Algonauts(hemispheres=("lh", "lh"))
    with pytest.raises(UserError, match=r"Algonauts\.hemispheres"):
        Algonauts(hemispheres=("left",))


@pytest.mark.parametrize("protocol", range(3, pickle.HIGHEST_PROTOCOL + 1))  # numpy saves with 3 or 4
def test_mappings_of_other_pickle_protocols(tmp_path: Path, protocol: int) -> None:
    subject(tmp_path)
    path = tmp_path / "roi_masks/mapping_floc-faces.npy"
    header = path.read_bytes()[: path.read_bytes().index(b"\n") + 1]
    path.write_bytes(header + pickle.dumps(np.array(MAPPINGS["floc-faces"], dtype=object), protocol))
    assert "FFA-1" in opened(tmp_path).rois


@pytest.mark.slow
def test_trains_and_predicts(tmp_path: Path) -> None:
    subject(tmp_path / "subj01", list(range(100, 140)), size=16)
    settings = ["training.epochs=none", "training.steps=2"]
    source = Algonauts(subjects=("subj01",), rois=("prf-visualrois",))
    run = load(trained_run(tmp_path, tmp_path / "run", *settings, data=source))
    predictions = run.predict_split("test")
    assert predictions.targets.tolist() == ["lh.00000", "lh.00002", "lh.00003", "rh.00001"]
    assert predictions.ids.tolist() == ["test-0001_nsd-00001", "test-0002_nsd-00002"]
    assert np.isfinite(predictions.values).all()


@pytest.mark.slow
def test_the_simulated_subject(tmp_path: Path) -> None:
    tool = Path(__file__).parents[2] / "tools" / "simulate_algonauts.py"
    sizes = ["--train", "30", "--test", "4", "--lh", "90", "--rh", "60", "--side", "20"]
    subprocess.run([sys.executable, str(tool), str(tmp_path / "subj01"), *sizes], check=True)
    data = opened(tmp_path, subjects=("subj01",))
    assert (data.train.target.shape, len(data.test)) == ((30, 150), 4)
    assert data.train.read(0).shape == (20, 20, 3)
    assert len(data.rois) == 37  # 31 regions in 6 classes


def test_real_recordings() -> None:
    folder = SHARED / "v4-210224-algonauts"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    data = opened(folder)
    assert data.train.target.shape == (600, 67)
    assert len(data.test) == 200
    left = np.load(folder / "training_split/training_fmri/lh_training_fmri.npy")
    np.testing.assert_array_equal(data.train.target[:, :40], left)
    numbers = np.load(folder / "roi_masks/rh.prf-visualrois_challenge_space.npy")
    np.testing.assert_array_equal(data.rois["V1v"][40:], numbers == 1)
    assert decode(data.train, np.arange(5), Images(size=(32, 32))).std() > 20

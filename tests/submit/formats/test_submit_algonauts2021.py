"""What was written is read with pickle; what is checked was written with pickle."""

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from submit import Predictions, SubmissionError, algonauts2021
from submit.formats.algonauts2021 import REGIONS, SUBJECTS

Content = dict[str, dict[str, Any]]


def voxels(subject: str, region: str) -> int:
    return int(subject[-2:]) % 3 + len(region)


def content(track: str) -> Content:
    """Values that tell region, subject, video and voxel apart."""
    rng = np.random.default_rng(0)
    return {
        region: {name: rng.standard_normal((102, voxels(name, region))) for name in SUBJECTS}
        for region in REGIONS[track]
    }


@pytest.fixture
def mini() -> Content:
    return content("mini_track")


@pytest.fixture
def members(mini: Content) -> dict[str, Predictions]:
    """Videos and voxels in an order of their own."""
    rows = np.random.default_rng(1).permutation(102)
    found = {}
    for name in SUBJECTS:
        parts = {region: mini[region][name] for region in reversed(REGIONS["mini_track"])}
        targets = [
            f"{region}.{k:05d}" for region, part in parts.items() for k in reversed(range(part.shape[1]))
        ]
        values = np.concatenate([part[:, ::-1] for part in parts.values()], axis=1)
        found[name] = Predictions(
            np.array([f"{k + 1001:04d}" for k in rows]), values[rows], np.array(targets)
        )
    return found


def dumped(path: Path, found: object) -> Path:
    path.write_bytes(pickle.dumps(found, 2))
    return path


@pytest.fixture
def root(mini: Content, tmp_path: Path) -> Path:
    for region, subjects in mini.items():
        for name, values in subjects.items():
            folder = tmp_path / "data/mini_track" / name
            folder.mkdir(parents=True, exist_ok=True)
            dumped(folder / f"{region}.pkl", {"train": np.zeros((2, 3, values.shape[1]))})
    return tmp_path / "data"


def test_a_zip_of_the_pickle(members, mini, root, tmp_path):
    path = algonauts2021.write(members, tmp_path / "out.zip", root)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["mini_track.pkl"]
        data = archive.read("mini_track.pkl")
    assert b"numpy.core.multiarray" in data  # as software with numpy 1 knows it
    assert b"numpy._core" not in data
    found = pickle.loads(data)
    assert sorted(found) == sorted(mini)
    for region, subjects in mini.items():
        assert sorted(found[region]) == list(SUBJECTS)
        for name, values in subjects.items():
            np.testing.assert_array_equal(found[region][name], values.astype(np.float32), strict=True)
    assert algonauts2021.check(path, root) == []
    assert (tmp_path / "out.zip.provenance.json").is_file()


def test_the_whole_brain_of_all_subjects_in_one(tmp_path):
    whole = content("full_track")["WB"]
    targets = [f"{name}.WB.{k}" for name in SUBJECTS for k in range(whole[name].shape[1])]
    joined = np.concatenate([whole[name] for name in SUBJECTS], axis=1)
    ids = np.array([f"{k:03d}" for k in range(102)])
    path = algonauts2021.write(Predictions(ids, joined, np.array(targets)), tmp_path / "out.pkl")
    with path.open("rb") as file:
        found = pickle.load(file)
    np.testing.assert_array_equal(found["WB"]["sub07"], whole["sub07"].astype(np.float32))
    assert algonauts2021.check(path) == []


def test_every_fault_of_the_predictions_at_once(members, root, tmp_path):
    del members["sub10"]
    one = members["sub01"]
    kept = one.targets != "V2.00001"
    broken = one.values[:, kept].copy()
    broken[3, one.targets[kept] == "FFA.00000"] = np.nan
    members["sub01"] = Predictions(one.ids, broken, one.targets[kept])
    two = members["sub02"]
    members["sub02"] = Predictions(two.ids[:-1], two.values[:-1], two.targets)
    with pytest.raises(SubmissionError) as caught:
        algonauts2021.write(members, tmp_path / "out.zip", root)
    assert str(caught.value).splitlines() == [
        f"{tmp_path / 'out.zip'} was not written:",
        "- 1 subjects missing from the predictions: 'sub10'",
        "- sub02: expected 102 test samples, found 101.",
        "- sub01, V2: 1 of 3 targets are not predicted: '1'; the challenge takes all or nothing, so add predictions of "
        "the others",
        "- sub01, FFA: 1 columns hold values that are not finite: '0'",
    ]
    assert not (tmp_path / "out.zip").exists()


def test_videos_that_sort_otherwise_by_number_are_refused(members, tmp_path):
    for name, one in members.items():
        members[name] = Predictions(
            np.array([str(int(video) - 1000) for video in one.ids]), one.values, one.targets
        )
    with pytest.raises(
        SubmissionError, match="sub03: the order of the samples is not clear: '102' comes before '11'"
    ):
        algonauts2021.write(members, tmp_path / "out.zip")


def test_a_number_that_no_brain_has_is_not_counted_up_to(members, tmp_path):
    one = members["sub03"]
    targets = ["V1.999999999" if name == "V1.00000" else name for name in one.targets.tolist()]
    members["sub03"] = Predictions(one.ids, one.values, np.array(targets))
    with pytest.raises(SubmissionError, match=r"sub03: 1 targets are not named by .*: 'V1\.999999999'"):
        algonauts2021.write(members, tmp_path / "out.zip")


FAULTS: dict[str, tuple[Callable[[Content], object], str]] = {
    "region": (lambda c: c.pop("V3"), "1 regions missing from the submission: 'V3'"),
    "other region": (
        lambda c: c.update(V9=c["V1"]),
        "1 regions in the submission that are not expected: 'V9'",
    ),
    "subject": (lambda c: c["V3"].pop("sub04"), "V3: 1 subjects missing from the submission: 'sub04'"),
    "no dict": (lambda c: c.update(V3=[1]), "V3: expected a dict of subjects, found list"),
    "videos": (
        lambda c: c["V3"].update(sub04=c["V3"]["sub04"][:100]),
        "V3: sub04: expected shape (102, 3), found (100, 3)",
    ),
    "voxels": (
        lambda c: c["V3"].update(sub04=c["V3"]["sub04"][:, :2]),
        "V3: sub04: expected shape (102, 3), found (102, 2)",
    ),
    "list": (
        lambda c: c["V3"].update(sub04=[1.0]),
        "V3: sub04: expected floats (102, voxels), found list",
    ),
    "NaN": (
        lambda c: c["V3"]["sub04"].__setitem__((5, 1), np.nan),
        "V3: sub04: 1 columns hold values that are not finite: '1'",
    ),
    "constant": (
        lambda c: c["V3"]["sub04"].__setitem__((slice(None), 2), 0),
        "V3: sub04: 1 columns are constant: '2'",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_a_file(fault, mini, root, tmp_path):
    change, message = FAULTS[fault]
    change(mini)
    assert algonauts2021.check(dumped(tmp_path / "x.pkl", mini), root) == [message]


def test_all_faults_of_a_file_at_once(mini, root, tmp_path):
    del mini["V1"]
    mini["V9"] = {}
    del mini["V2"]["sub03"]
    mini["V2"]["sub04"] = [1.0]
    wide = np.concatenate([mini["LOC"]["sub10"]] * 2, axis=1)[:50]
    wide[0, 1], wide[:, 3] = np.inf, 7
    mini["LOC"]["sub10"], mini["STS"] = wide, None
    assert algonauts2021.check(dumped(tmp_path / "x.pkl", mini), root) == [
        "1 regions missing from the submission: 'V1'",
        "1 regions in the submission that are not expected: 'V9'",
        "V2: 1 subjects missing from the submission: 'sub03'",
        "V2: sub04: expected floats (102, voxels), found list",
        "LOC: sub10: expected shape (102, 4), found (50, 8)",
        "LOC: sub10: 1 columns hold values that are not finite: '1'",
        "LOC: sub10: 1 columns are constant: '3'",
        "STS: expected a dict of subjects, found NoneType",
    ]


def test_programs_are_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    (found,) = algonauts2021.check(dumped(tmp_path / "x.pkl", {"V1": {"sub01": Evil()}}))
    assert found.startswith(f"{tmp_path / 'x.pkl'}: its pickle asks for ")
    assert found.endswith(".mkdir; such a file can run programs.")
    assert not (tmp_path / "ran").exists()


def test_other_containers(mini, tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("submission/mini_track.pkl", pickle.dumps(mini))
        archive.writestr("README", "")
    assert algonauts2021.check(tmp_path / "x.zip") == [
        "expected nothing but mini_track.pkl or full_track.pkl in the zip, found 'submission/mini_track.pkl', 'README'"
    ]
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("mini_track.pkl", pickle.dumps({**mini, "V1": []}))
        archive.writestr("__MACOSX/._mini_track.pkl", "")
    assert algonauts2021.check(tmp_path / "x.zip") == [
        "expected nothing but mini_track.pkl or full_track.pkl in the zip, found 'mini_track.pkl', "
        "'__MACOSX/._mini_track.pkl'",
        "V1: expected a dict of subjects, found list",
    ]
    assert "the file cannot be read" in algonauts2021.check(tmp_path / "none.pkl")[0]
    (tmp_path / "x.pkl").write_text("text")
    assert "cannot be read as a pickle" in algonauts2021.check(tmp_path / "x.pkl")[0]
    assert "expected a dict of regions, found list" in algonauts2021.check(dumped(tmp_path / "x.pkl", [1]))[0]
    good = dumped(tmp_path / "x.pkl", mini)
    with pytest.raises(SubmissionError, match="the file cannot be read"):
        algonauts2021.check(good, tmp_path / "none")


def test_one_array_for_several_subjects_or_regions(mini, members, tmp_path):
    """The kind: values of one subject or region stand for another, wholly or in part, given or in a file."""

    def faults(change) -> list[str]:
        planted = {region: dict(subjects) for region, subjects in mini.items()}
        change(planted)
        return algonauts2021.check(dumped(tmp_path / "x.pkl", planted))

    one = mini["V1"]["sub03"]
    assert faults(lambda found: None) == []
    found = faults(
        lambda found: [subjects.update(dict.fromkeys(SUBJECTS, one)) for subjects in found.values()]
    )
    assert len(found) == 89  # all but the first
    assert found[0] == "V1: sub02: its values are those of V1, sub01; was one run given for two subjects?"
    assert found[-1].endswith("was one run given for two subjects?")
    twice = "its values are those of V2, sub04; was one run given for two subjects?"
    assert faults(lambda found: found["V2"].update(sub08=mini["V2"]["sub04"])) == [f"V2: sub08: {twice}"]
    single = mini["V2"]["sub04"].astype(np.float32)
    assert faults(lambda found: found["V2"].update(sub08=single)) == [f"V2: sub08: {twice}"]
    assert faults(lambda found: found["V2"].update(sub08=single[:, :-1])) == [f"V2: sub08: {twice}"]
    assert faults(lambda found: found["V2"].update(sub08=single[:, 1:])) == [f"V2: sub08: {twice}"]
    assert faults(lambda found: found["V3"].update(sub04=single)) == [
        "V3: sub04: its values are those of V2, sub04; was one array given for two areas?"
    ]
    shared = np.concatenate(
        [single[:, :1], mini["V3"]["sub04"]], axis=1
    )  # regions of a subject may share voxels
    assert faults(lambda found: found["V3"].update(sub04=shared)) == []
    with pytest.raises(
        SubmissionError, match=r"sub02, V1: its values are those of sub01, V1; was one run given"
    ):
        algonauts2021.write(dict.fromkeys(SUBJECTS, members["sub01"]), tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


@pytest.mark.parametrize("kind", ["zip", "pkl"])
@pytest.mark.parametrize("track", list(REGIONS))
def test_a_track_under_the_others_name(kind, track, tmp_path):
    for called in REGIONS:
        path = tmp_path / f"{called}.pkl"
        dumped(path, content(track))
        if kind == "zip":
            with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
                archive.write(path, path.name)
            path = tmp_path / "x.zip"
        words = track.replace("_", " ")
        expected = [f"it is called {called}.pkl, and its regions are those of the {words}"]
        assert algonauts2021.check(path) == ([] if called == track else expected)

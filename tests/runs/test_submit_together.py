"""The one file that a challenge takes of all its subjects, against arrays that numpy reads back."""

import io
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from jaxlab.data import Algonauts, Pooled
from jaxlab.runs.run import Kept
from jaxlab.runs.submit_together import packed_at, write_together
from jaxlab.training.rundir import RunDirectory
from submit import Predictions, SubmissionError

VERTICES = {"subj01": {"lh": 3, "rh": 2}, "subj02": {"lh": 2, "rh": 4}}
TEST = 3


@pytest.fixture
def challenge(tmp_path):
    """Two subjects' folders, and the responses in them."""
    rng, responses = np.random.default_rng(0), {}
    for name, sizes in VERTICES.items():
        for split, count in (("training", 5), ("test", TEST)):
            folder = tmp_path / "data" / name / f"{split}_split" / f"{split}_images"
            folder.mkdir(parents=True)
            for k in range(count):
                pixels = rng.integers(0, 256, (6, 6, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f"{split}-{k:04d}_nsd-{k:05d}.png")
        fmri = tmp_path / "data" / name / "training_split" / "training_fmri"
        fmri.mkdir()
        for side, vertices in sizes.items():
            responses[name, side] = rng.normal(size=(5, vertices)).astype(np.float32)
            np.save(fmri / f"{side}_training_fmri.npy", responses[name, side])
    return tmp_path / "data", responses


def test_responses_stay_in_their_files(challenge):
    root, responses = challenge
    opened = Pooled(root=str(root), each=Algonauts()).open()
    assert all(isinstance(block, np.memmap) for block in opened.train.target.blocks)
    whole = np.full((10, 11), np.nan, np.float32)
    whole[:5, :3], whole[:5, 3:5] = responses["subj01", "lh"], responses["subj01", "rh"]
    whole[5:, 5:7], whole[5:, 7:] = responses["subj02", "lh"], responses["subj02", "rh"]
    np.testing.assert_array_equal(opened.train.target[:], whole)
    assert opened.targets[4:6] == ("subj01/rh.00001", "subj02/lh.00000")


def said_of(root: Path, name: str) -> Predictions:
    """What a network might say."""
    targets = [f"{side}.{k:05d}" for side, count in VERTICES[name].items() for k in range(count)]
    values = np.random.default_rng(len(name) + int(name[-1])).normal(size=(TEST, len(targets)))
    return Predictions([f"test-{k:04d}_nsd-{k:05d}" for k in range(TEST)], values.astype(np.float32), targets)


def runs_of(root: Path, path: Path, names=VERTICES):
    """A run for each subject that predicts this."""

    def kept_as(name):
        return lambda split, which: Kept(said_of(root, name), said_of(root, name).save(path / f"{name}.npz"))

    path.mkdir(exist_ok=True)
    return {
        name: [
            SimpleNamespace(
                rundir=RunDirectory(path), kept_as=kept_as(name), source=Algonauts(root=str(root / name))
            )
        ]
        for name in names
    }


def test_the_zip_and_the_folder_hold_what_is_predicted(challenge, tmp_path):
    root, out, said = challenge[0], tmp_path / "out", []
    (out / "subj01").mkdir(parents=True)
    (out / "subj01" / "lh_pred_test.npy").write_text("what a killed call left")
    done = write_together("algonauts2023", runs_of(root, tmp_path / "run"), out, None, said.append)
    assert list(done) == ["subj01", "subj02"]
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        for name in VERTICES:
            expected = said_of(root, name)
            for side, first in (("lh", 0), ("rh", VERTICES[name]["lh"])):
                file = f"{name}/{side}_pred_test.npy"
                values = expected.values[:, first : first + VERTICES[name][side]]
                np.testing.assert_array_equal(np.load(io.BytesIO(archive.read(file))), values)
                np.testing.assert_array_equal(np.load(out / file), values)
    assert "2 subjects, written as algonauts2023 and checked against" in said[-1]


def test_a_subject_too_few_is_said(challenge, tmp_path):
    runs = runs_of(challenge[0], tmp_path / "run", ["subj01"])
    with pytest.raises(SubmissionError, match="subj02"):
        write_together("algonauts2023", runs, tmp_path / "out", None, print)
    assert not (tmp_path / "out.zip").exists()


@pytest.mark.parametrize(
    ("out", "zipped"), [("out", "out.zip"), (".", "../here.zip"), ("..", "../../{}.zip")]
)
def test_the_zip_lies_beside_the_folder(tmp_path, monkeypatch, out, zipped):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    expected = (tmp_path / "here" / zipped.format(tmp_path.name)).resolve()
    assert packed_at(Path(out)).resolve() == expected

"""Which format a file has, and the commands check, write and vqa on each."""

import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from submit import Predictions, SubmissionError, check, write
from submit.cli.main import main

VERTICES = {"lh": 3, "rh": 2}
SUBJECTS = ("subj01", "subj02")


def run(*arguments: str):
    return CliRunner().invoke(main, list(arguments))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data of two subjects, their predictions, and a Kaggle sample, in the working directory."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    ids = np.array(["test-1_nsd-1", "test-2_nsd-2"])
    for subject in SUBJECTS:
        images = tmp_path / "data" / subject / "test_split/test_images"
        fmri = tmp_path / "data" / subject / "training_split/training_fmri"
        images.mkdir(parents=True)
        fmri.mkdir(parents=True)
        for name in ids:
            (images / f"{name}.png").touch()
        for side, count in VERTICES.items():
            np.save(fmri / f"{side}_training_fmri.npy", np.zeros((1, count)))
        targets = [f"{side}.{k:05d}" for side, count in VERTICES.items() for k in range(count)]
        Predictions(ids, rng.standard_normal((2, 5)), np.array(targets)).save(f"members/{subject}.npz")
    one = Predictions(ids, rng.standard_normal((2, 1)), np.array(["n0"]))
    write(one, "sample.csv")
    one.save("one.npz")
    return tmp_path


def test_what_a_file_is_shows_from_name_and_content(folder):
    with zipfile.ZipFile("a.zip", "w") as archive:
        archive.writestr("subj01/x.txt", "")
    with zipfile.ZipFile("b.zip", "w") as archive:
        archive.writestr("mini_track.pkl", pickle.dumps({}))
    with zipfile.ZipFile("f.zip", "w") as archive:
        archive.write("sample.csv")
    (folder / "c.pkl").write_bytes(pickle.dumps({}))
    (folder / "d.json").write_text('[{"question_id": 1}]')
    columns = ["trial_indices", "image_ids", "prediction", "neuron_ids"]
    pd.DataFrame([[1, 1, "[1]", "[1, 2]"]], columns=columns).to_csv("e.csv", index=False)
    assert check("a.zip")[0].startswith("16 of 16 files are missing")
    assert check("members")[1] == "2 files do not belong in it: 'subj01.npz', 'subj02.npz'"
    assert check("b.zip")[0].startswith("9 regions missing")
    assert check("c.pkl")[0].startswith("9 regions missing")
    assert check("d.json")[0].startswith("1 entries are no objects")
    assert check("e.csv") == ["1 trials have no list of 2 numbers as prediction: '1'"]
    assert (
        check("one.npz", "sample.csv")
        == check("sample.csv", "sample.csv")
        == check("f.zip", "sample.csv")
        == []
    )
    assert "there is no such file" in check("none.zip")[0]
    with pytest.raises(SubmissionError, match=r"x\.txt: expected a folder or a file \.csv"):
        check("x.txt")
    with pytest.raises(SubmissionError, match="A Kaggle submission is checked against"):
        check("one.npz")
    with pytest.raises(SubmissionError, match="A table is a sample for Kaggle's CSV only"):
        check("a.zip", pd.DataFrame())


@pytest.mark.parametrize(
    "members",
    [("members",), [f"{subject}=members/{subject}.npz" for subject in SUBJECTS]],
)
def test_algonauts_2023(folder, members):
    made = run("write", *members, "--format", "algonauts2023", "--out", "out.zip", "--against", "data")
    assert (made.exit_code, made.stderr, made.stdout) == (0, "", "out.zip: written\n")
    with zipfile.ZipFile("out.zip") as archive:
        assert sorted(archive.namelist()) == [f"{s}/{h}_pred_test.npy" for s in SUBJECTS for h in VERTICES]
    checked = run("check", "out.zip", "--against", "data")
    assert (checked.exit_code, checked.stdout) == (0, "out.zip: a valid submission\n")
    bad = run("check", "out.zip")
    assert bad.exit_code == 1
    assert "- 12 of 16 files are missing: 'subj03/lh_pred_test.npy'" in bad.stderr
    assert "- subj01/lh_pred_test.npy: expected shape (159, 19004), found (2, 3)" in bad.stderr


def test_algonauts_2021(folder):
    targets = np.array([f"WB.{k}" for k in range(3)])
    ids = np.array([f"{k:03d}" for k in range(102)])
    rng = np.random.default_rng(0)
    for k in range(1, 11):
        Predictions(ids, rng.standard_normal((102, 3)), targets).save(f"videos/sub{k:02d}.npz")
    assert run("write", "videos", "--format", "algonauts2021", "--out", "out.pkl").exit_code == 0
    assert run("check", "out.pkl").stdout == "out.pkl: a valid submission\n"


def test_vqa(folder):
    answers = np.array(["no", "red", "yes"])
    scores = np.array([[0, 0, 1], [0, 1, 0]])
    Predictions(np.array(["5", "6"]), scores, answers, kind="probabilities").save("answers.npz")
    questions = [{"question_id": 5}, {"question_id": 6}]
    (folder / "questions.json").write_text(json.dumps({"questions": questions}))
    given = [["yes"] * 10, ["blue"] * 10]
    annotations = [
        {
            **question,
            "answer_type": kind,
            "question_type": "is it",
            "answers": [{"answer": text} for text in said],
        }
        for question, kind, said in zip(questions, ["yes/no", "[other]"], given, strict=True)
    ]
    (folder / "annotations.json").write_text(json.dumps({"annotations": annotations}))
    arguments = ["--format", "vqa", "--out", "out.json", "--against", "questions.json"]
    assert run("write", "answers.npz", *arguments).exit_code == 0
    assert run("check", "out.json", "--against", "questions.json").exit_code == 0
    plain = json.loads(run("vqa", "out.json", "annotations.json", "--json").stdout)
    assert plain == {
        "questions": 2,
        "vqa_accuracy": 0.5,
        "answer_type": {"[other]": 0, "yes/no": 1},
        "question_type": {"is it": 0.5},
    }
    table = run("vqa", "answers.npz", "annotations.json").stdout
    assert all(
        words in table
        for words in ["VQA accuracy", "answers: yes/no", "answers: [other]", "questions: is it", "0.5000"]
    )


def test_sensorium_and_kaggle(folder):
    meta = folder / "session/meta"
    arrays = {
        "trials/tiers": np.array(["test", "train"]),
        "trials/trial_idx": np.array([4, 5]),
        "trials/frame_image_id": np.array([1, 2]),
        "neurons/unit_ids": np.array([7]),
    }
    for name, array in arrays.items():
        (meta / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(meta / f"{name}.npy", array)
    Predictions(np.array(["4"]), np.full((1, 1), 1.5), np.array(["7"])).save("trial.npz")
    made = run("write", "trial.npz", "--format", "sensorium", "--out", "out", "--against", "session")
    assert made.stdout == "out/submission_file_live_test.csv: written\n"
    text = "trial_indices,image_ids,prediction,neuron_ids\n4,1,[1.5],[7]\n"
    assert (folder / "out/submission_file_live_test.csv").read_text() == text
    assert run("check", "out/submission_file_live_test.csv", "--against", "session").exit_code == 0
    assert (
        run("write", "one.npz", "--format", "kaggle", "--out", "out.csv", "--against", "sample.csv").exit_code
        == 0
    )
    assert (folder / "out.csv").read_bytes() == (folder / "sample.csv").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["write", "one.npz", "--format", "kaggle", "--out", "x.zip"],
            "--out x.zip: expected a .csv for kaggle",
        ),
        (
            ["write", "one.npz", "--format", "algonauts2023", "--out", "x.csv"],
            "--out x.csv: expected a .zip or folder for algonauts2023",
        ),
        (["write", "one.npz", "--format", "other", "--out", "x.csv"], "'other' is not one of 'kaggle'"),
        (
            ["write", "one.npz", "one.npz", "--format", "vqa", "--out", "x.json"],
            "vqa: expected one file of predictions, found 2",
        ),
        (
            ["write", "one.npz", "--format", "vqa", "--out", "x.json"],
            "Predictions of kind 'regression' have no classes",
        ),
        (
            ["write", "one.npz", "--format", "sensorium", "--out", "x"],
            "sensorium: name the session's folder, which holds trials and neurons (--against)",
        ),
        (
            ["write", "subj01=one.npz", "one.npz", "--format", "algonauts2023", "--out", "x.zip"],
            "expected predictions by subject, as in subj01=FILE; found 'one.npz'",
        ),
        (
            ["write", "subj01=none.npz", "--format", "algonauts2023", "--out", "x.zip"],
            "- subj01: none.npz: there is no such file.",
        ),
        (["check", "one.npz"], "checked against the competition's sample_submission.csv (--against)"),
        (["check", "members", "--against", "none"], "none: expected the challenge's data"),
        (["vqa", "one.npz", "none.json"], "Predictions of kind 'regression' have no classes"),
    ],
)
def test_mistakes_exit_with_one_and_a_sentence(folder, arguments, message):
    found = run(*arguments)
    assert found.exit_code == 1
    assert message in found.stderr
    assert found.stdout == ""
    assert isinstance(found.exception, SystemExit)


def test_the_working_directory_is_not_replaced(folder, monkeypatch):
    (folder / "empty").mkdir()
    monkeypatch.chdir(folder / "empty")
    arguments = ["--format", "algonauts2023", "--out", ".", "--against", "../data"]
    found = run("write", "../members", *arguments)
    assert (found.exit_code, list(Path().iterdir())) == (1, [])
    assert ".: there is something already; name a new folder." in found.stderr

"""The sidecar of a submission, and what `explain` says of it."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from submit import Predictions, SubmissionError, mean, weighted, write
from submit.cli.main import main
from submit.provenance.explanation import data_fingerprints, differing_settings, to_dict, tree
from submit.provenance.record import keep, read, sidecar

DATA = "ab" * 32


def run(name: str, lr: float, fingerprint: str = DATA) -> Predictions:
    made = {
        "run": name,
        "step": 400,
        "digest": name * 8,
        "config": {"type": "Experiment", "optimizer": {"lr": lr}, "layers": [1, 2]},
        "data": {"fingerprint": fingerprint},
        "python": "3.11.7",
        "versions": {"jax": "0.10.2"},
        "commit": None,
        "scores": {"validation": {"pearson": 0.51234, "samples": 20}},
    }
    ids, targets = np.array(["a", "b"]), np.array(["n0", "n1"])
    return Predictions(ids, np.eye(2), targets, provenance=made)


@pytest.fixture
def nested() -> Predictions:
    """0.8 of a mean of two runs, 0.2 of another run on other data."""
    return weighted([mean([run("one", 1e-3), run("two", 1e-4)]), run("three", 1e-3, "cd" * 32)], [8, 2])


def record(**changes: object) -> str:
    """The text of a sidecar."""
    plain = {"schema": 1, "file": {"name": "x.csv", "sha256": "a", "bytes": 1}, "made": "", "python": ""}
    return json.dumps({**plain, "versions": {}, "scores": None, "provenance": {}, **changes})


def explain(*arguments: object):
    return CliRunner(env={"COLUMNS": "80"}).invoke(main, ["explain", *map(str, arguments)])


def test_what_is_kept_beside_a_submission(nested, tmp_path):
    path = write(nested, tmp_path / "out.csv")
    record = json.loads((tmp_path / "out.csv.provenance.json").read_text())
    whole = path.read_bytes()
    assert record["schema"] == 1
    expected = {"name": "out.csv", "sha256": hashlib.sha256(whole).hexdigest(), "bytes": len(whole)}
    assert record["file"] == expected
    assert pd.Timestamp(record["made"]).utcoffset() == pd.Timedelta(0)
    assert record["versions"]["pandas"] == pd.__version__
    assert record["scores"] is None
    assert record["provenance"] == nested.provenance


def test_scores_of_the_submission_itself(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"zip")
    kept = read(keep(tmp_path / "x.zip", {}, {"validation": {"pearson": 0.5}}))
    assert kept.record["scores"] == {"validation": {"pearson": 0.5}}
    assert kept.path == tmp_path / "x.zip"
    assert kept.faults == []
    with pytest.raises(SubmissionError, match=r"x\.zip: its provenance cannot be written as JSON"):
        keep(tmp_path / "x.zip", {"x": np.zeros(1)})


def test_shares_of_an_ensemble_of_ensembles(nested):
    leaves = list(tree(nested.provenance).leaves())
    assert [leaf.name for leaf in leaves] == ["one", "two", "three"]
    assert [leaf.share for leaf in leaves] == pytest.approx([0.4, 0.4, 0.2])
    assert differing_settings(leaves) == {
        "config.optimizer.lr": {"0.001": ["one", "three"], "0.0001": ["two"]}
    }
    assert data_fingerprints(leaves) == {DATA: ["one", "two"], "cd" * 32: ["three"]}


def test_the_same_run_twice_and_one_of_unknown_origin():
    unknown = Predictions(np.array(["a", "b"]), np.eye(2), np.array(["n0", "n1"]))
    leaves = list(tree(mean([run("one", 1), run("one", 1), unknown]).provenance).leaves())
    assert [leaf.name for leaf in leaves] == ["one", "one #2", "predictions of unknown origin"]
    assert differing_settings(leaves) == {}
    assert data_fingerprints(leaves)["-"] == ["predictions of unknown origin"]


def test_subjects_and_folds_are_parts():
    made = {"format": "algonauts2023", "subjects": {"subj01": [dict(run("one", 1).provenance)]}}
    (leaf,) = tree(made).leaves()
    assert (leaf.part, leaf.name, leaf.share) == ("subj01", "one", 1)
    folds = {"run": "k", "folds": [dict(run("k/fold0", 1).provenance), dict(run("k/fold1", 1).provenance)]}
    assert [leaf.part for leaf in tree(folds).leaves()] == ["fold 0", "fold 1"]


def test_explained_in_eighty_columns(nested, tmp_path):
    path = write(nested, tmp_path / "out.csv")
    said = explain(path)
    assert said.exit_code == 0, said.output
    for words in [
        "0.4000  one  step 400",
        "0.2000  three  step 400",
        "scores: validation pearson 0.5123, validation samples 20",
        "checkpoint: oneoneoneone",
        "data: not the same for all",
        "config.optimizer.lr",
        hashlib.sha256(path.read_bytes()).hexdigest(),
    ]:
        assert words in said.stdout
    assert max(map(len, said.stdout.splitlines()[2:])) <= 80  # the first names the file
    assert explain(sidecar(path)).stdout == said.stdout
    told = json.loads(explain(path, "--json").stdout)
    assert told == to_dict(read(path))
    assert told["unchanged"] is True
    assert [member["share"] for member in told["members"]] == pytest.approx([0.4, 0.4, 0.2])


def test_a_changed_or_absent_submission_is_named(nested, tmp_path):
    path = write(nested, tmp_path / "out.csv")
    path.write_bytes(path.read_bytes().replace(b"a", b"c"))
    said = explain(path)
    assert said.exit_code == 1
    assert "out.csv was changed since: it has" in said.stderr
    assert "one" in said.stdout
    assert json.loads(explain(path, "--json").stdout)["unchanged"] is False
    path.unlink()
    assert "out.csv is not there" in explain(sidecar(path)).stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no such file; `submit.write` makes it beside each submission"),
        ("{", "expected JSON"),
        ("[]", "expected a JSON object"),
        ('{"schema": 2}', "schema: expected 1, found 2; was it written by another version?"),
        ('{"schema": 1, "file": {}}', "it lacks 'made', 'python', 'versions', 'scores', 'provenance'"),
        ("[" * 100_000, "expected JSON (maximum recursion depth"),
        (record(file=None), "expected 'file' with name, sha256 and bytes"),
        (record(file=["name", "sha256", "bytes"]), "expected 'file' with name, sha256 and bytes"),
        (
            record(file={"name": "x", "sha256": "a", "bytes": "many"}),
            "expected 'file' with name, sha256 and bytes",
        ),
        (record(provenance=[]), "expected 'file' with name, sha256 and bytes, and an object 'provenance'"),
    ],
)
def test_a_sidecar_that_cannot_be_used_is_named(tmp_path, text, message):
    (tmp_path / "x.csv").write_text("id,a\n")
    if text is not None:
        sidecar(tmp_path / "x.csv").write_text(text)
    said = explain(tmp_path / "x.csv")
    assert (said.exit_code, said.stdout) == (1, "")
    assert "x.csv.provenance.json: " + message in said.stderr


def test_provenance_of_another_make_is_named(tmp_path):
    (tmp_path / "x.csv").write_text("id,a\n")
    keep(tmp_path / "x.csv", {"ensemble": [1]})
    said = explain(tmp_path / "x.csv")
    assert said.exit_code == 1
    assert "x.csv.provenance.json: provenance: it is not built as expected" in said.stderr


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"data": "v1", "run": "x"}, "data: the same for all, v1"),
        ({"scores": 0.5}, "scores: 0.5"),
        ({"scores": ["a", "b"]}, "scores: ['a', 'b']"),
        ({"folds": 5, "subjects": ["01"], "ensemble": True}, "predictions of unknown origin"),
        ({"config": "x.py", "versions": [1], "run": None}, "None"),
    ],
)
def test_provenance_of_a_users_own_is_explained(tmp_path, own, said):
    """Predictions take any facts that can be JSON."""
    predictions = Predictions(np.array(["a"]), np.ones((1, 1)), np.array(["n0"]), provenance=own)
    path = write(predictions, tmp_path / "x.csv")
    assert said in explain(path).stdout
    assert json.loads(explain(path, "--json").stdout)["provenance"] == own


def test_predictions_in_an_npz_tell_their_own(nested, tmp_path):
    path = nested.save(tmp_path / "x.npz")
    said = explain(path)
    assert (said.exit_code, said.stderr) == (0, "")
    assert "0.2000  three  step 400" in said.stdout
    assert said.stdout.startswith(f"{path}: {path.stat().st_size:,} bytes\n")
    assert json.loads(explain(path, "--json").stdout)["made"] is None
    path.write_bytes(b"")
    assert "x.npz: the file is truncated" in explain(path).stderr


def test_a_folder_by_any_name(tmp_path, monkeypatch):
    """What lies behind a link is part of it, a loop or a broken link is not."""
    folder = tmp_path / "out"
    (folder / "a").mkdir(parents=True)
    (tmp_path / "far").write_bytes(b"far")
    (folder / "a" / "file").write_bytes(b"near")
    for name, target in {"link": tmp_path / "far", "loop": folder, "broken": tmp_path / "nowhere"}.items():
        (folder / name).symlink_to(target)
    kept = keep(folder, {"run": "one"})
    lines = [
        f"{hashlib.sha256(b).hexdigest()}  {name}\n" for b, name in [(b"near", "a/file"), (b"far", "link")]
    ]
    file = json.loads(kept.read_text())["file"]
    assert file == {"name": "out", "sha256": hashlib.sha256("".join(lines).encode()).hexdigest(), "bytes": 7}
    monkeypatch.chdir(folder)
    for name in (folder, ".", "../out/", "a/.."):
        assert (explain(name).exit_code, explain(name).stderr) == (0, ""), name
    (tmp_path / "far").write_bytes(b"for")
    assert "was changed since: it has 7 bytes" in explain(".").stderr
    assert "/.provenance.json: there is no such file" in explain("/").stderr


def test_inference_and_soups_are_told(tmp_path):
    soup = {
        "members": [{"run": "a", "taken": True}, {"run": "b", "taken": False}, {"run": "c", "taken": True}]
    }
    refined = {"views": 9, "adapts": "statistics", "batches": 4, "unrefined": 1, "moved": 0.1}
    one = replace(run("one", 1), provenance={"run": "one", "inference": refined, "soup": soup})
    two = replace(run("two", 1), provenance={"run": "two", "inference": {"views": 1, "adapts": None}})
    own = replace(run("own", 1), provenance={"run": "own", "inference": "by hand", "soup": 3})
    said = explain(write(mean([one, two, own]), tmp_path / "x.csv")).stdout
    assert "inference: 9 views of each image, statistics refined for 3 of 4 batches" in said
    assert "inference: 1 view of each image\n" in said
    assert "soup: weights averaged over 2 checkpoints" in said
    assert (said.count("inference:"), said.count("soup:")) == (2, 1)


def test_a_run_directory_is_pointed_to_its_predictions(nested, tmp_path):
    path = nested.save(tmp_path / "run" / "predictions" / "test.npz")
    said = explain(tmp_path / "run")
    assert said.exit_code == 1
    assert f"this is a run directory; name one of its predictions: {path}." in said.stderr


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda record: record["file"].update(name="other.csv"),
            "was called 'other.csv' when it was written",
        ),
        (lambda record: record["file"].update(bytes=7), "and its record says 7"),
        (lambda record: record["file"].update(sha256="0" * 64), "was changed since"),
    ],
)
def test_every_fact_of_the_file_is_compared(change, expected, odd, tmp_path):
    """The kind: a record that speaks of another file, by any of what it says of it."""
    path = write(odd, tmp_path / "out.csv")
    side = sidecar(path)
    record = json.loads(side.read_text())
    change(record)
    side.write_text(json.dumps(record))
    (fault,) = read(path).faults
    assert expected in fault
    moved = path.rename(tmp_path / "renamed.csv")
    side.rename(sidecar(moved))
    assert "was called 'out" in read(moved).faults[0] or "was called 'other" in read(moved).faults[0]


@pytest.mark.parametrize("weight", ["NaN", "Infinity", "-Infinity", "true"])
def test_a_weight_that_is_no_number_is_refused(weight, odd, tmp_path):
    path = write(mean([odd, odd]), tmp_path / "out.csv")
    text = sidecar(path).read_text()
    sidecar(path).write_text(text.replace('"weight": 1.0', f'"weight": {weight}', 1))
    found = CliRunner().invoke(main, ["explain", str(path)])
    assert found.exit_code == 1
    assert "provenance: it is not built as expected" in found.stderr


def test_a_score_that_is_undefined_is_null(tmp_path):
    (tmp_path / "x.csv").write_text("id,a\n")
    keep(tmp_path / "x.csv", {"run": "a", "scores": {"validation": {"pearson": np.nan}}}, {"mse": np.inf})
    texts = [sidecar(tmp_path / "x.csv").read_text()]
    texts.append(CliRunner().invoke(main, ["explain", str(tmp_path / "x.csv"), "--json"]).stdout)
    for text in texts:
        found = json.loads(text, parse_constant=pytest.fail)
        assert found["provenance"]["scores"] == {"validation": {"pearson": None}}
        assert found["scores"] == {"mse": None}

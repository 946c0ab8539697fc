"""Scores by class against scikit-learn's, the files that hold them, and the command that shows them."""

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.metrics import classification_report, confusion_matrix, top_k_accuracy_score
from sklearn.metrics import log_loss as sklearns

from submit import Labels, Predictions
from submit.cli.main import main
from submit.scores.by_class import by_class
from submit.scores.folder import write_scores
from submit.scores.pairing import PairedClasses, paired

NAMES = np.array(["cat", "dog", "hare", "ox", "bee", "ant", "elk"])
IDS = np.array([f"{k:03d}" for k in range(120)])


@pytest.fixture
def pair():
    """Seven classes: "bee" is never there, "ant" never predicted, "elk" neither."""
    rng = np.random.default_rng(0)
    truth = rng.choice([0, 1, 2, 3, 5], 120)
    logits = rng.normal(size=(120, 7)) + 2 * np.eye(7)[truth]
    logits[:, [5, 6]] = -9
    predictions = Predictions(IDS, logits, NAMES, kind="logits")
    return paired(predictions, Labels(IDS, NAMES[truth]))


def test_rates_and_counts_are_scikit_learns(pair):
    found = by_class(pair)
    names = [one.name for one in found.classes]
    assert names == ["cat", "dog", "hare", "ox", "bee", "ant"]
    report = classification_report(
        NAMES[pair.truth], NAMES[pair.predicted], labels=names, output_dict=True, zero_division=0
    )
    for one in found.classes:
        theirs = report[one.name]
        assert (one.precision, one.recall, one.f1, one.samples) == pytest.approx(
            (theirs["precision"], theirs["recall"], theirs["f1-score"], theirs["support"])
        )
    macro = report["macro avg"]
    assert found.scores["f1_macro"] == pytest.approx(macro["f1-score"])
    assert found.scores["precision_macro"] == pytest.approx(macro["precision"])
    assert found.scores["recall_macro"] == pytest.approx(macro["recall"])
    assert found.scores["accuracy"] == pytest.approx(report["accuracy"])
    assert found.scores["top_5_accuracy"] == pytest.approx(
        top_k_accuracy_score(pair.truth, pair.scores, k=5, labels=range(7))
    )
    theirs = confusion_matrix(NAMES[pair.truth], NAMES[pair.predicted], labels=names)
    np.testing.assert_array_equal(found.confusion, theirs)
    off = theirs * (1 - np.eye(6, dtype=int))
    assert sum(count for *_, count in found.mistaken) == off.sum()
    true, predicted, most = found.mistaken[0]
    assert most == off.max() == off[names.index(true), names.index(predicted)]


def test_samples_of_none_of_the_classes_or_without_a_score_are_wrong(pair):
    truth, predicted = pair.truth.copy(), pair.predicted.copy()
    truth[:6], predicted[4:9] = -1, -1
    found = by_class(PairedClasses(pair.ids, pair.classes, predicted, truth, None, pair.place))
    assert found.without == 9
    assert found.scores["accuracy"] == pytest.approx(((predicted == truth) & (truth >= 0)).mean())
    assert found.confusion.sum() == 120 - 9
    assert (found.calibration, found.uncalibrated) == (None, "")


def test_probabilities_are_calibrated_as_their_logarithms(pair):
    logits = Predictions(IDS, pair.scores, NAMES, kind="logits")
    p = Predictions(IDS, softmax(pair.scores, 1), NAMES, kind="probabilities")
    logs = Predictions(IDS, log_softmax(pair.scores, 1), NAMES, kind="logits")
    one, *others = (by_class(paired(side, pair.solution())).scores for side in (logits, p, logs))
    for other in others:
        assert other == pytest.approx(one, rel=1e-4)
    assert one["log_loss"] == pytest.approx(
        -log_softmax(pair.scores, 1)[np.arange(120), pair.truth].mean(), rel=1e-5
    )


def test_a_csv_of_probabilities_has_their_log_loss(pair, tmp_path):
    """It does not say what its columns are; where they are no probabilities, they have none."""
    p = softmax(pair.scores, 1)
    pd.DataFrame(p, IDS, NAMES).to_csv(tmp_path / "p.csv", index_label="id")
    found = by_class(paired(tmp_path / "p.csv", pair.solution()))
    assert found.scores["log_loss"] == pytest.approx(sklearns(pair.truth, p, labels=range(7)), rel=1e-6)
    pd.DataFrame(pair.scores, IDS, NAMES).to_csv(tmp_path / "p.csv", index_label="id")
    found = by_class(paired(tmp_path / "p.csv", pair.solution()))
    assert "expected rows of 0 or more that add up to 1" in found.uncalibrated
    assert "log_loss" not in found.scores


def test_scores_that_are_no_probabilities_have_no_calibration(pair):
    scores = Predictions(IDS, 2 * softmax(pair.scores, 1), NAMES, kind="probabilities")
    found = by_class(paired(scores, pair.solution()))
    assert found.calibration is None
    assert "expected rows of 0 or more that add up to 1" in found.uncalibrated
    alone = Predictions(IDS, np.full((120, 1), 0.5), NAMES[:1], kind="probabilities")
    assert by_class(paired(alone, Labels(IDS, NAMES[[0] * 120]))).uncalibrated == "there is but one class"


def test_files_hold_the_same(pair, tmp_path):
    found = by_class(pair)
    names = write_scores({"accuracy": 0.5}, found, tmp_path)
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())
    classes = pd.read_csv(tmp_path / "classes.csv")
    assert classes.columns.tolist() == ["class", "precision", "recall", "f1", "support"]
    assert classes["f1"].tolist() == pytest.approx([one.f1 for one in found.classes])
    matrix = pd.read_csv(tmp_path / "confusion.csv", index_col="true")
    np.testing.assert_array_equal(matrix.to_numpy(), found.confusion)
    assert matrix.columns.tolist() == matrix.index.tolist() == [one.name for one in found.classes]
    bins = pd.read_csv(tmp_path / "reliability.csv")
    before = bins[bins.temperature == "before"]
    gaps = before.samples / 120 * (before.accuracy - before.confidence).abs()
    assert gaps.sum() == pytest.approx(found.scores["calibration_error"])
    assert (tmp_path / "confusion.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "reliability.png").read_bytes()[:4] == b"\x89PNG"


def test_json_has_null_for_bins_without_a_sample(pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Predictions(IDS, pair.scores, NAMES, kind="logits").save("p.npz")
    pd.DataFrame({"id": IDS, "label": NAMES[pair.truth]}).to_csv("solution.csv", index=False)
    told = CliRunner().invoke(main, ["score", "p.npz", "solution.csv", "--json", "--out", "out"]).stdout
    for text in (told, (tmp_path / "out/scores.json").read_text()):
        bins = json.loads(text, parse_constant=pytest.fail)["reliability"]  # NaN is no JSON
        assert [one["confidence"] is None for one in bins] == [one["samples"] == 0 for one in bins]
        assert bins[0]["accuracy"] is None  # of seven classes the likeliest has a seventh or more


def test_of_too_many_classes_there_are_the_mistakes_alone(pair, tmp_path, monkeypatch):
    monkeypatch.setattr("submit.scores.by_class.MOST", 5)
    found = by_class(pair)
    assert found.confusion is None
    assert "confusion" not in found.to_dict()
    assert "mistaken.csv" in write_scores({}, found, tmp_path)
    mistaken = pd.read_csv(tmp_path / "mistaken.csv")
    assert mistaken.samples.sum() == (pair.truth != pair.predicted).sum()


def test_the_command_shows_classes_and_writes_them(pair, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    names = np.where(NAMES == "hare", "[b]$x", NAMES)  # neither markup nor a formula
    Predictions(IDS, pair.scores, names, kind="logits").save("p.npz")
    rows = zip(IDS, names[pair.truth], strict=True)
    pd.DataFrame(rows, columns=["id", "label"]).to_csv("solution.csv", index=False)

    def told(*more):
        done = CliRunner().invoke(main, ["score", "p.npz", "solution.csv", *more])
        assert done.exit_code == 0, done.output
        return done.stdout

    shown = told("--out", "out")
    assert max(map(len, shown.splitlines())) <= 80
    for words in ("F1, macro", "calibration error", "[b]$x", "true, below; predicted, right", "temperature"):
        assert words in shown
    record = json.loads(told("--json"))
    assert record == json.loads((tmp_path / "out/scores.json").read_text())
    assert record["accuracy"] == pytest.approx((pair.truth == pair.predicted).mean())
    assert [one["name"] for one in record["by_class"]] == [*names[:6]]
    again = CliRunner().invoke(main, ["score", "p.npz", "solution.csv", "--out", "out"])
    assert "out: there is something already; name a new folder" in again.output
    rois = CliRunner().invoke(main, ["score", "p.npz", "solution.csv", "--rois", "x.npz"])
    assert "--rois: regions are of targets; this solution holds class names" in rois.output


def test_calibrated_probabilities_are_those_of_the_labelled_samples_temperature(pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = {"provenance": {"run": "a"}, "kind": "logits"}
    test = Predictions(IDS[:9], 2 * pair.scores[:9], NAMES, **made).save("test.npz")
    known = Predictions(IDS, pair.scores, NAMES, split="validation", **made).save("known.npz")
    rows = zip(IDS, NAMES[pair.truth], strict=True)
    pd.DataFrame(rows, columns=["id", "label"]).to_csv("train.csv", index=False)

    def told(*command):
        done = CliRunner().invoke(main, ["calibrate", *map(str, command)])
        return done.exit_code, done.output

    code, said = told(test, "--learn", known, "--truth", "train.csv", "--out", "out.npz")
    assert code == 0, said
    found = Predictions.load("out.npz")
    t = found.provenance["temperature"]

    def loss(t):
        return -log_softmax(pair.scores / t, 1)[np.arange(120), pair.truth].mean()

    assert t == pytest.approx(minimize_scalar(loss, bounds=(0.05, 20), method="bounded").x, rel=1e-3)
    np.testing.assert_allclose(found.values, softmax(2 * pair.scores[:9] / t, 1), rtol=1e-4)
    assert (found.kind, found.provenance["run"]) == ("probabilities", "a")
    assert f"temperature {t:.4g} of 120 labelled ones" in said

    numbers = Predictions(IDS, pair.scores, NAMES, split="validation").save("numbers.npz")
    fewer = Predictions(IDS, pair.scores[:, :6], NAMES[:6], split="validation", kind="logits").save(
        "fewer.npz"
    )
    for words, learn, out in (
        ("expected predictions of validation samples or out of fold, found split 'test'", test, "b.npz"),
        ("expected logits or probabilities of classes, found numbers", numbers, "b.npz"),
        ("is of other classes: 1 classes in test.npz that are not expected: 'elk'", fewer, "b.npz"),
        ("--out b.csv: expected a .npz file; `write` makes a submission of it", known, "b.csv"),
    ):
        code, said = told(test, "--learn", learn, "--truth", "train.csv", "--out", out)
        assert code == 1
        assert words in said

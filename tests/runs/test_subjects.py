"""A run of several subjects: one at a time, as files, and by folds."""

import io
import re
import weakref
from pathlib import Path
from shutil import copytree, ignore_patterns
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from pooled_folders import TARGETS, TEST, TRAIN, images_of, targets_of
from rich.console import Console
from tiny import train

import jaxlab
from jaxlab import UserError
from jaxlab.cli.main import main
from jaxlab.data import Images, Pooled
from jaxlab.encode import CachedFeatures, ImageEncoder
from jaxlab.evaluate.evaluator import Evaluator
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear, PerSubject
from jaxlab.losses import CrossEntropy
from jaxlab.models import Features, ShallowCNN
from jaxlab.objectives import Objective, resolved
from jaxlab.report.results import subjects
from jaxlab.report.results.reading import Reading
from jaxlab.report.results.report import check_subject, evidence_of
from jaxlab.runs import keeping, new_data, predict_subjects
from jaxlab.runs.checks import log_data
from jaxlab.runs.folds import FoldsRun
from jaxlab.runs.predict import of_subject
from jaxlab.runs.subjects import columns_of
from jaxlab.training.display import Session
from jaxlab.training.rundir import RunDirectory
from submit import Predictions


@pytest.fixture(scope="module")
def network(pooled):
    return jaxlab.load(pooled / "fold0")


@pytest.mark.parametrize("subject", TRAIN)
def test_a_subject_has_its_own_names_and_the_networks_numbers(network, subject):
    assert network.subjects == tuple(TRAIN)
    found = network.subject(subject).predict_split("test")
    assert found.ids.tolist() == [f"t{k}" for k in range(TEST)]
    assert found.targets.tolist() == [f"n{k}" for k in range(TARGETS[subject])]
    whole = network.predict(images_of(subject)[TRAIN[subject] :])
    columns = [name.startswith(f"{subject}/") for name in network.targets]
    np.testing.assert_allclose(found.values, whole[:, columns], rtol=1e-5)


def test_scores_by_subject_are_those_of_its_samples(network):
    """Against numpy's correlation of what the network says of the validation images."""
    learn, validate = network.positions
    assert len(learn) + len(validate) == sum(TRAIN.values())
    first = dict(zip(TRAIN, np.cumsum([0, *TRAIN.values()])[:-1], strict=True))
    for labelled, details in network.breakdowns():
        rows = dict(zip(("train", "validation"), (learn, validate), strict=True))[labelled.split]
        for subject, number in TRAIN.items():
            own = rows[(rows >= first[subject]) & (rows < first[subject] + number)] - first[subject]
            columns = [name.startswith(f"{subject}/") for name in network.targets]
            said = network.predict(images_of(subject)[own])[:, columns]
            truth = targets_of(subject)[own]
            r = [np.corrcoef(x, y)[0, 1] for x, y in zip(said.T, truth.T, strict=True)]
            assert details.rows()[subject]["pearson"] == pytest.approx(np.mean(r), abs=1e-4)
            alone = network.subject(subject).evaluate()
            assert alone[labelled.split]["pearson"] == pytest.approx(np.mean(r), abs=1e-4)


def test_details_have_one_subjects_predictions_at_a_time_and_images_decoded_once(network, monkeypatch):
    made, predict = [], Evaluator.predict

    def predicted(*arguments):
        values = predict(*arguments)
        made.append(weakref.ref(values))
        assert len({one().shape[1] for one in made if one() is not None}) == 1  # each has as many targets
        return values

    monkeypatch.setattr(Evaluator, "predict", predicted)
    assert [labelled.values.size for labelled, _ in network.breakdowns()] == [0, 0]
    assert len(made) == 2 * len(TRAIN)
    for split, portion in network._portions.items():
        assert all(
            network.subject(name)._portions[split].rows.images is portion.rows.images for name in TRAIN
        )


def test_folds_conclude_with_one_subjects_predictions_at_a_time(pooled, tmp_path, monkeypatch):
    """Mean correlation by numpy; after a kill before the last file those that are there are not made again."""
    run = copytree(pooled, tmp_path / "run")
    files = [run / "predictions" / name / "out_of_fold.npz" for name in TRAIN]
    before = [Predictions.load(file).values for file in files]
    for file in (*files, run / "metrics.jsonl"):
        file.unlink()
    made, out_of_fold, session = [], FoldsRun.out_of_fold, Session(Console(file=io.StringIO()))

    def predicted(self):
        assert all(one() is None for one in made)
        found = out_of_fold(self)
        made.append(weakref.ref(found.values))
        return found

    monkeypatch.setattr(FoldsRun, "out_of_fold", predicted)
    study = jaxlab.load(run).experiment
    with monkeypatch.context() as patch:
        patch.setattr("jaxlab.runs.folds._keep", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            FoldsRun.conclude(study, RunDirectory(run), session)
    assert [file.is_file() for file in files] == [True, True, False]
    FoldsRun.conclude(study, RunDirectory(run), session)
    assert len(made) == len(TRAIN) + 1
    for file, values in zip(files, before, strict=True):
        np.testing.assert_allclose(Predictions.load(file).values, values, rtol=1e-5)
    r = [
        np.corrcoef(said, known)[0, 1]
        for name, values in zip(TRAIN, before, strict=True)
        for said, known in zip(values.T, targets_of(name).T, strict=True)
    ]
    scores = jaxlab.load(run).recorded()["last"]["out_of_fold"]
    assert scores["pearson"] == pytest.approx(np.mean(r), abs=1e-4)


def test_subjects_take_the_features_that_training_made(pooled_folders, tmp_path, monkeypatch, nans_allowed):
    monkeypatch.setenv("JAXLAB_CACHE", str(tmp_path / "cache"))
    encoder = ImageEncoder(
        model=ShallowCNN(channels=(4,), kernel_sizes=(3,), norm="none"), images=Images(size=(16, 16))
    )
    experiment = Experiment(
        data=CachedFeatures(data=Pooled(root=str(pooled_folders)), encoders=(encoder,)),
        model=Features(),
        head=PerSubject(head=Linear()),
        training=Training(steps=1, batch_size=8),
    )
    run = jaxlab.load(train(experiment, tmp_path / "run"))
    stored = sorted(path.name for path in (tmp_path / "cache" / "features").iterdir())
    subject = run.subject("s2")
    learn, validate = subject.labelled()
    found = subject.predict_split("validation")
    assert sorted(path.name for path in (tmp_path / "cache" / "features").iterdir()) == stored
    expected = run.predict(images_of("s2")[: TRAIN["s2"]])[:, 3:5]
    np.testing.assert_allclose(learn.values, expected[learn.rows], rtol=1e-5)
    np.testing.assert_allclose(validate.values, expected[validate.rows], rtol=1e-5)
    np.testing.assert_array_equal(found.values, validate.values)


def test_a_file_for_each(pooled, tmp_path):
    run, out = copytree(pooled / "fold0", tmp_path / "run"), tmp_path / "out"
    result = CliRunner().invoke(main, ["predict", str(run), "--out", str(out)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in out.glob("*.csv")) == ["s1.csv", "s10.csv", "s2.csv"]
    for subject in TRAIN:
        table = pd.read_csv(out / f"{subject}.csv", index_col="id")
        kept = Predictions.load(run / "predictions" / subject / "test.npz")
        np.testing.assert_allclose(table.loc[kept.ids, kept.targets], kept.values, rtol=1e-6)
        assert kept.provenance["subject"] == subject
    assert "s1.csv: written, checked against" in result.output
    assert "s10.csv: written with predictions in the targets' units, not checked" in result.output
    dotted = tmp_path / "v1.2"  # a folder that is there, whatever its name
    dotted.mkdir()
    result = CliRunner().invoke(main, ["predict", str(run), "--out", str(dotted), "--subject", "s1"])
    assert f"--out {dotted}: expected" in result.stderr
    result = CliRunner().invoke(main, ["predict", str(run), "--out", str(dotted)], catch_exceptions=False)
    assert len(list(dotted.glob("*.csv"))) == len(TRAIN)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--out", "out.csv"],
            "of which each has a file of its own: give a folder (--out out), or one subject",
        ),
        (["--subject", "s3"], "no subject 's3'; it predicts s1, s2, s10"),
    ],
)
def test_what_cannot_be_written_is_said(pooled, arguments, words):
    result = CliRunner().invoke(main, ["predict", str(pooled / "fold0"), *arguments])
    assert result.exit_code == 1
    assert words in result.output


def test_predictions_of_all_at_once_are_no_file(network, trained):
    with pytest.raises(UserError, match="predicts 3 subjects, each with samples and targets of its own"):
        network.keep("validation")
    with pytest.raises(UserError, match="is of one subject, expected a run of data=Pooled"):
        jaxlab.load(trained).subject("s1")


def test_out_of_fold_predictions_lie_by_subject(pooled):
    run = jaxlab.load(pooled)
    for subject, number in TRAIN.items():
        kept = Predictions.load(Path(pooled) / "predictions" / subject / "out_of_fold.npz")
        assert kept.ids.tolist() == [f"{k:03d}" for k in range(number)]
        assert kept.targets.tolist() == [f"n{k}" for k in range(TARGETS[subject])]
        each = [
            jaxlab.load(pooled / f"fold{k}").subject(subject).predict_split("validation", "last")
            for k in (0, 1)
        ]
        assert sorted([*each[0].ids, *each[1].ids]) == kept.ids.tolist()
        place = {name: row for row, name in enumerate(kept.ids.tolist())}
        for part in each:
            rows = [place[name] for name in part.ids.tolist()]
            np.testing.assert_allclose(kept.values[rows], part.values, rtol=1e-5)
    assert not (Path(pooled) / "predictions" / "out_of_fold.npz").exists()
    mean = run.subject("s2").predict_split("test")
    each = [jaxlab.load(pooled / f"fold{k}").subject("s2").predict_split("test", "last") for k in (0, 1)]
    np.testing.assert_allclose(mean.values, (each[0].values + each[1].values) / 2, rtol=1e-5)


def test_a_report_has_scores_by_subject_or_one_subject_in_full(pooled, network):
    """Those of breakdowns, which a test above holds to numpy."""
    reading = Reading(network.rundir, "pooled", run=network)
    (section,) = subjects.sections(reading, quick=False, subject=None)
    *_, (_, details) = network.breakdowns()
    for subject in TRAIN:
        row = re.search(rf"<td[^>]*>{subject}</td>(.*?)</tr>", section.html(), re.S)
        assert f"{details.rows()[subject]['pearson']:.4f}" in row[1]
    assert evidence_of(reading, False, None, print) is None
    check_subject([reading], "s2")
    with pytest.raises(
        UserError, match="--subject s2: expected a run of several subjects, found 1 run of one"
    ):
        check_subject([Reading(network.rundir, "one", run=network.subject("s1"))], "s2")
    evidence = evidence_of(reading, False, None, print, untrained=False, subject="s2")
    assert evidence.run.targets == ("n0", "n1")
    known = targets_of("s2")[[int(name) for name in evidence.predictions.ids]]
    np.testing.assert_array_equal(evidence.truth, known)


def test_data_may_lie_elsewhere_than_when_it_was_trained(pooled, pooled_folders, tmp_path):
    """Of pooled data a subject's own lie in a folder below: that one, too, may be gone."""
    run = copytree(pooled / "fold0", tmp_path / "run")
    text = (run / "config.json").read_text()
    assert str(pooled_folders) in text
    (run / "config.json").write_text(text.replace(str(pooled_folders), str(tmp_path / "gone")))
    moved = jaxlab.load(run, [f"data.root={pooled_folders}"]).subject("s2")
    assert moved.test_samples().ids.tolist() == [f"t{k}" for k in range(TEST)]
    made = Predictions([f"t{k}" for k in range(TEST)], np.zeros((TEST, 2)), ["n0", "n1"])
    assert keeping.origin_of(moved, made, None).own


def test_a_subject_is_predicted_without_labelled_data(network, pooled, pooled_folders, tmp_path):
    """Images of the user's own without any data. The numbers are those of the run of all, on the same images."""
    copytree(pooled_folders, tmp_path / "data", ignore=ignore_patterns("train", "train.csv"))
    columns = [name.startswith("s2/") for name in network.targets]
    expected = network.predict(images_of("s2")[TRAIN["s2"] :])[:, columns]
    there = jaxlab.load(pooled / "fold0", [f"data.root={tmp_path / 'data'}"]).subject("s2")
    np.testing.assert_allclose(there.predict_split("test").values, expected, rtol=1e-5)
    gone = jaxlab.load(pooled / "fold0", [f"data.root={tmp_path / 'gone'}"]).subject("s2")
    np.testing.assert_allclose(gone.predict(images_of("s2")[TRAIN["s2"] :]), expected, rtol=1e-5)


def test_whom_there_is_nothing_to_predict_of_is_left_out(pooled_folders, tmp_path):
    """Folders that are no subject's are not taken for one that the run does not know."""
    sources = Pooled(root=str(pooled_folders)).of_subjects()
    has = {"s1": True, "s2": False, "s3": True}  # s3 is gone
    own = {name: [SimpleNamespace(has_samples=lambda split, has=has[name]: has)] for name in has}
    run = SimpleNamespace(source=SimpleNamespace(of_subjects=lambda: sources), rundir=RunDirectory(tmp_path))
    said = []
    assert predict_subjects._there(run, own, "validation", said.append) == ["s1"]
    assert said == [
        "s2: its data have no validation images to predict; it is left out",
        "s3: the data have no such subject; it is left out",
        f"warning: {tmp_path} knows nothing of s10, whom the data have too",
    ]


def test_other_data_are_scored_over_each_subjects_own_samples(network):
    """Mean correlation over all targets, by numpy."""
    r = []
    for subject in TRAIN:
        columns = [name.startswith(f"{subject}/") for name in network.targets]
        said = network.predict(images_of(subject)[: TRAIN[subject]])[:, columns]
        r += [np.corrcoef(x, y)[0, 1] for x, y in zip(said.T, targets_of(subject).T, strict=True)]
    (scores,) = new_data.evaluated(network, "best").values()
    assert scores["all"]["pearson"] == pytest.approx(np.mean(r), abs=1e-4)


def test_a_sample_that_asks_for_others_is_told_before_training(pooled_folders, tmp_path):
    root, said = copytree(pooled_folders, tmp_path / "data"), []
    sample = root / "s2" / "sample_submission.csv"
    lines = sample.read_text().splitlines()
    sample.write_text("\n".join([f"{lines[0]},n9", *(f"{line},0" for line in lines[1:])]) + "\n")
    opened = Pooled(root=str(root)).open()
    (objective,) = resolved({"activity": Objective()}, {"activity": opened.targets}, missing=True)
    log_data(opened, objective, SimpleNamespace(once=said.append))
    (line,) = [line for line in said if line.startswith("warning")]
    assert f"{sample} asks for other predictions" in line
    assert "n9" in line


def test_a_slash_in_a_column_or_its_classes_names_no_subject():
    goals = {
        "activity": Objective(),
        "scene": Objective(of="scene", loss=CrossEntropy()),
        "depth": Objective(of="scene/depth"),
    }
    names = {
        "activity": ("s1/n0", "s2/n0"),
        "scene": ("in/kitchen", "out/park"),
        "depth": ("scene/depth",),
    }
    activity, *others = resolved(goals, names, missing=True)
    assert columns_of(activity, "s2").tolist() == [1]
    assert [columns_of(one, "s2") for one in others] == [None, None]


def test_runs_of_a_subjects_own_data_join_its_share_of_a_pooled_run(network, trained):
    own = jaxlab.load(trained)
    first, second = of_subject([network, own], "s2")
    assert (first.targets, second) == (("n0", "n1"), own)
    assert of_subject([network, own], None) == [network, own]
    with pytest.raises(UserError, match="is of one subject, expected a run of data=Pooled"):
        of_subject([own], "s2")

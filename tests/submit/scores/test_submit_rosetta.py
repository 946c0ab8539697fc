"""One prediction under all definitions: each cell against submit.metrics, files of regions and repeats, the command."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import t as student
from sklearn.metrics import confusion_matrix, f1_score

from submit import Labels, Predictions, SubmissionError, bootstrap, ceilings, metrics
from submit.cli.main import main
from submit.regions import hemispheres, load_regions
from submit.scores.pairing import paired
from submit.scores.repeats import load_repeats
from submit.scores.rosetta import OVERALL, RegionScore, Rosetta, rosetta
from submit.scores.rosetta_classes import rosetta_classes

IDS = np.array([f"{i:02d}" for i in range(30)])
TARGETS = np.array(["lh.0", "lh.1", "rh.0", "rh.1", "rh.2"])
REGIONS = {"V1": np.array([1, 0, 1, 0, 0], bool), "V4": np.array([0, 1, 0, 1, 1], bool)}
CEILING = np.array([0.5, 0.9, 0.0, 0.7, 0.8])
DRAWS = 30


def run(*arguments: object):
    return CliRunner().invoke(main, [str(one) for one in arguments])


@pytest.fixture
def repeats() -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.normal(size=(30, 1, 5)) + 0.7 * rng.normal(size=(30, 3, 5))).astype(np.float32)


@pytest.fixture
def truth(repeats) -> Predictions:
    return Predictions(IDS, repeats.mean(1), TARGETS)


@pytest.fixture
def guess(truth) -> Predictions:
    noise = np.random.default_rng(1).normal(size=truth.values.shape)
    return Predictions(IDS[::-1], (truth.values + noise)[::-1], TARGETS)


def cell(found: Rosetta, definition: str, region: str = OVERALL) -> RegionScore:
    return next(row for row in found.rows if (row.region, row.definition) == (region, definition))


def test_every_definition_is_that_of_the_metrics(guess, truth, repeats):
    both = paired(guess, truth)
    x, y = both.predicted, both.truth
    found = rosetta(both, CEILING, REGIONS, repeats, draws=DRAWS)
    r, ev = metrics.pearson(x, y), metrics.explained_variance(x, y)
    reliability = ceilings.split_half_reliability(repeats)
    expected = {
        "Pearson r": r,
        "explained variance": ev,
        "R2": metrics.r2(x, y),
        "Algonauts, uncorrected": metrics.algonauts2023(r),
        "Algonauts 2023": metrics.algonauts2023(r, CEILING),
        "NX-414, r / sqrt(NC)": metrics.nx414_correlation(r, 100 * CEILING),
        "NX-414, EV / NC": metrics.nx414_variance(ev, 100 * CEILING),
        "noise-corrected r2": metrics.noise_corrected_r2(x, repeats),
        "FEVE (FEV >= 0.15)": metrics.feve(x, repeats),
        "Sensorium, single trial": metrics.single_trial_correlation(x, repeats),
        "Sensorium, to average": metrics.correlation_to_average(x, repeats),
    }
    for name, values in expected.items():
        row = cell(found, name)
        assert (row.mean.value, row.median.value) == pytest.approx(
            (values.mean(), np.median(values)), rel=1e-9
        )
        assert row.targets == len(values)
    assert {row.definition for row in found.rows} == {*expected, "Algonauts 2021"}
    score = metrics.algonauts2021(r, np.clip(reliability, 0, 1), REGIONS)
    assert cell(found, "Algonauts 2021").mean.value == pytest.approx(score, rel=1e-9)
    assert np.isnan(cell(found, "Algonauts 2021").median.value)
    assert cell(found, "Pearson r", "V4").mean.value == pytest.approx(r[[1, 3, 4]].mean(), rel=1e-9)
    assert cell(found, "NX-414, EV / NC", "V1").targets == 1  # the other has no ceiling
    assert not found.left_out


def test_intervals_are_the_bootstraps(guess, truth):
    both = paired(guess, truth)
    found = rosetta(both, CEILING, REGIONS, draws=DRAWS)
    median = bootstrap.interval(
        both.predicted[:, [1, 3, 4]], both.truth[:, [1, 3, 4]], "pearson", "median", DRAWS
    )
    of = cell(found, "Pearson r", "V4").median
    assert (of.value, of.low, of.high) == pytest.approx((median.value, median.low, median.high), rel=1e-9)
    mean = bootstrap.interval(both.predicted, both.truth)
    of = cell(found, "Pearson r").mean
    assert (of.value, of.low, of.high) == pytest.approx((mean.value, mean.low, mean.high), rel=1e-9)
    few = cell(found, "Pearson r", "V1")
    assert few.median == few.mean  # of two targets


def test_means_of_every_definition_are_jackknifed(guess, truth, repeats):
    """By a loop over samples left out, each definition by `submit.metrics`; the formula by hand, without a scale."""
    both = paired(guess, truth)
    x, y = both.predicted, both.truth
    found = rosetta(both, CEILING, REGIONS, repeats, draws=2)
    ways = {
        "Algonauts 2023": lambda k: metrics.algonauts2023(metrics.pearson(x[k], y[k]), CEILING),
        "NX-414, r / sqrt(NC)": lambda k: metrics.nx414_correlation(
            metrics.pearson(x[k], y[k]), 100 * CEILING
        ),
        "noise-corrected r2": lambda k: metrics.noise_corrected_r2(x[k], repeats[k]),
    }
    every = np.arange(30)
    for name, way in ways.items():
        whole = way(every).mean()
        left = np.array([way(np.delete(every, k)).mean() for k in every])
        centre = whole + 29 * (whole - left.mean()) * 27 / 29
        half = student.ppf(0.975, 29) * np.sqrt(29 / 30 * ((left - left.mean()) ** 2).sum())
        of = cell(found, name).mean
        assert (of.low, of.high) == pytest.approx((centre - half, centre + half), rel=1e-6), name
    reliability = np.clip(ceilings.split_half_reliability(repeats), 0, 1)
    left = [metrics.algonauts2021(metrics.pearson(x[k], y[k]), reliability, REGIONS) for k in without(30)]
    of = cell(found, "Algonauts 2021").mean
    centre = of.value + 27 * (of.value - np.mean(left))
    assert (of.low + of.high) / 2 == pytest.approx(centre, rel=1e-6)


def without(samples: int) -> list[np.ndarray]:
    return [np.delete(np.arange(samples), k) for k in range(samples)]


def test_what_is_left_out_says_what_it_needs(guess, truth, repeats):
    alone = rosetta(paired(guess, truth), draws=DRAWS)
    assert alone.left_out["Algonauts 2023"] == "a ceiling or repeats"
    assert alone.left_out["FEVE (FEV >= 0.15)"] == "repeats"
    assert len(alone.rows) + len(alone.left_out) == 12
    given = rosetta(paired(guess, truth), CEILING, draws=DRAWS)
    assert set(given.left_out.values()) == {"repeats"}
    shown = rosetta(paired(guess, truth), repeats=repeats, draws=DRAWS)
    share = metrics.noise_normalised(
        metrics.pearson(paired(guess, truth).predicted, truth.values), ceilings.signal_share(repeats)
    )
    assert cell(shown, "NX-414, r / sqrt(NC)").mean.value == pytest.approx(share.mean(), rel=1e-9)


def test_constant_and_non_finite_targets_are_counted_under_each_policy(guess, truth):
    values = guess.values.copy()
    values[:, 1], values[3, 2] = 0.1, np.nan
    both = paired(Predictions(guess.ids, values, TARGETS), truth)
    found = rosetta(both, draws=DRAWS)
    r = metrics.pearson(both.predicted, both.truth)
    assert (found.constant, found.not_finite) == (1, 1)
    assert found.policies["zero"] == pytest.approx(r.mean())
    assert found.policies["drop"] == pytest.approx(r[[0, 3, 4]].mean())
    assert found.to_dict()["policies"]["nan"] is None
    assert cell(found, "Pearson r").mean.value == pytest.approx(r.mean())


def test_classes_are_scikit_learns():
    rng = np.random.default_rng(0)
    ids, names = np.array([f"i{k}" for k in range(60)]), np.array(list("abcdefg"))
    scores = rng.normal(size=(60, 7))
    scores[:, 6] = -9  # neither predicted nor there
    truth = np.array(names[rng.integers(0, 6, 60)])
    found = rosetta_classes(paired(Predictions(ids, scores, names, "logits"), Labels(ids, truth)))
    predicted = names[scores.argmax(1)]
    assert found.scores["accuracy"].value == np.mean(predicted == truth)
    assert found.scores["F1, macro"].value == pytest.approx(f1_score(truth, predicted, average="macro"))
    np.testing.assert_array_equal(found.confusion, confusion_matrix(truth, predicted))
    assert [one.name for one in found.classes] == list("abcdef")
    np.testing.assert_allclose([one.f1 for one in found.classes], f1_score(truth, predicted, average=None))
    left = np.array([f1_score(truth[k], predicted[k], average="macro") for k in without(60)])
    of = found.scores["F1, macro"]
    half = student.ppf(0.975, 59) * np.sqrt(59 / 60 * ((left - left.mean()) ** 2).sum())
    assert of.high - of.value == pytest.approx(half + 57 * (of.value - left.mean()))
    assert of.low == max(0, of.low)
    assert found.scores["precision, micro"] == found.scores["accuracy"]
    assert "top-5 accuracy" in found.scores


def test_of_thousands_of_classes_there_is_no_confusion_matrix():
    names = np.array([f"{k:04d}" for k in range(1100)])
    found = rosetta_classes(paired(Labels(names, np.roll(names, 1)), Labels(names, names)))
    assert (len(found.classes), found.confusion) == (1100, ())
    assert found.scores["F1, macro"].value == 0


def test_regions_are_read_from_masks_or_memberships(tmp_path):
    np.savez(tmp_path / "rois.npz", **REGIONS)
    (tmp_path / "rois.csv").write_text("target,roi\nrh.0,V1\nlh.0,V1\nlh.1,V4\nrh.1,V4\nrh.2,V4\n")
    for name in ("rois.npz", "rois.csv"):
        found = load_regions(tmp_path / name, TARGETS)
        assert {key: mask.tolist() for key, mask in found.items()} == {
            k: m.tolist() for k, m in REGIONS.items()
        }
    assert {key: mask.tolist() for key, mask in hemispheres(TARGETS).items()} == {
        "lh": [True, True, False, False, False], "rh": [False, False, True, True, True]
    }  # fmt: skip
    subjects = np.array(["subj01.lh.00042", "subj02.lh.00042", "subj02.rh.00001"])
    assert list(hemispheres(subjects)) == ["subj01.lh", "subj02.lh", "subj02.rh"]
    assert hemispheres(np.array(["lh.0", "lh.1"])) == hemispheres(np.array(["n0", "lh.1"])) == {}


@pytest.mark.parametrize(
    ("arrays", "text", "message"),
    [
        (
            {"V1": np.ones(4, bool)},
            None,
            r"masks of 5 bool, one a target; found that 'V1' is bool of shape \(4,\)",
        ),
        ({"V1": np.ones(5)}, None, "'V1' is float64"),
        ({"V1": np.zeros(5, bool)}, None, "no target is in 'V1'"),
        ({}, None, "no target is in any region"),
        (None, "target,roi\nlh.0,V1\nlh.9,V1\n", "1 targets are not in the solution: 'lh.9'; it has 'lh.0'"),
        (
            None,
            "lh.0,V1\nlh.1,V1\n",
            "expected a header, as target,region; its first line is of a target, 'lh.0,V1'",
        ),
        (None, "target,roi,x\nlh.0,V1,1\n", "expected two columns, target and region; found 3"),
    ],
)
def test_faults_of_a_region_file_are_named(tmp_path, arrays, text, message):
    path = tmp_path / ("rois.csv" if arrays is None else "rois.npz")
    path.write_text(text) if arrays is None else np.savez(path, **arrays)
    with pytest.raises(SubmissionError, match=f"{path.name}: .*{message}"):
        load_regions(path, TARGETS)


@pytest.mark.parametrize("read", [load_regions, lambda path, targets: load_repeats(path, IDS, targets)])
def test_a_file_that_is_no_whole_npz_is_refused(tmp_path, read):
    path = tmp_path / "x.npz"
    np.savez_compressed(
        path, ids=IDS, targets=TARGETS, values=np.random.default_rng(0).normal(size=(30, 2, 5))
    )
    whole = path.read_bytes()
    inside = whole.index(b"values.npy") + 60
    array = tmp_path / "array.npy"
    np.save(array, np.ones(5, bool))
    for damaged in (whole[:200], whole[:inside] + bytes(40) + whole[inside + 40 :], array.read_bytes()):
        path.write_bytes(damaged)
        with pytest.raises(SubmissionError, match=r"x\.npz: the file is truncated, damaged or not an npz"):
            read(path, TARGETS)


def test_regions_and_repeats_of_no_use_are_refused(guess, truth, repeats):
    both = paired(guess, truth)
    with pytest.raises(
        SubmissionError, match=r"repeats: expected \(30, repeats, 5\); found shape \(29, 3, 5\)"
    ):
        rosetta(both, repeats=repeats[1:], draws=DRAWS)
    with pytest.raises(SubmissionError, match="'overall' is the name of all targets"):
        rosetta(both, regions={OVERALL: REGIONS["V1"]}, draws=DRAWS)
    with pytest.raises(SubmissionError, match="masks of 5 bool, one a target; found that 'V1' is int64"):
        rosetta(both, regions={"V1": np.array([1, 0, 1, 0, 0])}, draws=DRAWS)


def test_repeats_are_matched_by_name_whatever_their_order(tmp_path, repeats):
    np.savez(tmp_path / "r.npz", ids=IDS[::-1], values=repeats[::-1][:, :, ::-1], targets=TARGETS[::-1])
    np.testing.assert_array_equal(load_repeats(tmp_path / "r.npz", IDS, TARGETS), repeats)
    lines = [
        ",".join([IDS[k], *(repr(float(value)) for value in repeats[k, turn])])
        for turn in range(3)
        for k in range(30)
        if not (turn == 2 and k == 5)
    ]
    (tmp_path / "r.csv").write_text("\n".join([",".join(["id", *TARGETS]), *lines]))
    found = load_repeats(tmp_path / "r.csv", IDS, TARGETS)
    expected = repeats.copy()
    expected[5, 2] = np.nan
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": IDS[:-1], "values": np.zeros((29, 3, 5))}, "1 ids missing from the repeats: '29'"),
        ({"targets": np.array(list("abcde"))}, "5 targets missing from the repeats"),
        (
            {"values": np.zeros((30, 5))},
            r"expected numbers \(30, repeats, 5\); found float64 of shape \(30, 5\)",
        ),
        ({"values": np.zeros((30, 1, 5))}, "two or more presentations, found none"),
        ({"values": None}, "it lacks 'values'"),
    ],
)
def test_faults_of_repeats_are_named(tmp_path, change, message):
    arrays = {"ids": IDS, "targets": TARGETS, "values": np.zeros((30, 3, 5))} | change
    np.savez(tmp_path / "r.npz", **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(SubmissionError, match=f"r.npz: .*{message}"):
        load_repeats(tmp_path / "r.npz", IDS, TARGETS)
    with pytest.raises(SubmissionError, match=r"^\S+none\.csv: the file cannot be read"):
        load_repeats(tmp_path / "none.csv", IDS, TARGETS)


def test_the_command_prints_tables_of_80_columns_or_json(tmp_path, monkeypatch, guess, truth, repeats):
    monkeypatch.chdir(tmp_path)
    guess.save("guess.npz")
    truth.save("truth.npz")
    np.save("ceiling.npy", CEILING)
    np.savez("repeats.npz", ids=IDS, values=repeats, targets=TARGETS)
    files = ("--ceiling", "ceiling.npy", "--repeats", "repeats.npz")
    printed = run("rosetta", "guess.npz", "truth.npz", *files)
    assert printed.exit_code == 0
    assert max(map(len, printed.stdout.splitlines())) <= 80
    for word in ("overall", "lh", "rh", "Algonauts 2021", "FEVE (FEV >= 0.15)", "30 samples"):
        assert word in printed.stdout
    plain = json.loads(run("rosetta", "guess.npz", "truth.npz", *files, "--json").stdout)
    assert plain["rows"][0]["mean"]["value"] == pytest.approx(
        metrics.pearson(guess.values[::-1], truth.values).mean(), rel=1e-6
    )
    assert "for want of repeats: noise-corrected r2" in run("rosetta", "guess.npz", "truth.npz").stdout
    np.save("percent.npy", 100 * CEILING)
    refused = run("rosetta", "guess.npz", "truth.npz", "--ceiling", "percent.npy")
    assert refused.exit_code == 1
    assert (
        "percent.npy: ceiling: expected shares of the variance between 0 and 1 (not percent)"
        in refused.stderr
    )


def test_the_command_of_classes(tmp_path, monkeypatch, classes):
    monkeypatch.chdir(tmp_path)
    classes.save("classes.npz")
    (tmp_path / "solution.csv").write_text("id,label\n01,cat\n02,dog\n03,cat\n04,dog\n")
    printed = run("rosetta", "classes.npz", "solution.csv")
    assert printed.exit_code == 0
    for word in ("accuracy", "0.7500", "F1, macro", "precision", "ox"):
        assert word in printed.stdout
    plain = json.loads(run("rosetta", "classes.npz", "solution.csv", "--json").stdout)
    assert plain["confusion"] == [[2, 0, 0], [0, 1, 1], [0, 0, 0]]
    refused = run("rosetta", "classes.npz", "solution.csv", "--ceiling", "x.npy", "--rois", "y.npz")
    assert "--ceiling, --rois: for numbers, but solution.csv holds class names" in refused.stderr

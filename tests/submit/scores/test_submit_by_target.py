"""Scores by target and region against scipy's, the files that hold them, and the command that shows them."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy.stats import ks_2samp, pearsonr

from submit import Predictions, SubmissionError
from submit.cli.main import main
from submit.scores.by_target import by_target, histogram
from submit.scores.folder import write_scores
from submit.scores.pairing import paired

TARGETS = np.array([f"n{k}" for k in range(6)])
IDS = np.array([f"{k:03d}" for k in range(50)])
CEILING = np.array([0.25, 0.0, 0.64, 1.0, 0.5, 0.4])
V1 = np.array([True, True, True, False, False, False])


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    truth = rng.normal([0, 1, 100, -2, 0, 3], 1.5, (50, 6))
    return paired(
        Predictions(IDS, 0.4 * truth + rng.normal(size=(50, 6)), TARGETS),
        Predictions(IDS, truth, TARGETS, split=""),
    )


def theirs(pair):
    sides = list(zip(pair.predicted.T, pair.truth.T, strict=True))
    r = np.array([pearsonr(x, y).statistic for x, y in sides])
    return (
        r,
        pair.predicted.std(0) / pair.truth.std(0),
        np.array([ks_2samp(x, y).statistic for x, y in sides]),
    )


def test_regions_have_the_means_and_medians_of_their_targets(pair):
    found = by_target(pair, CEILING, {"V1": V1, "V4": ~V1})
    r, spread, ks = theirs(pair)
    for region, mask in {"overall": V1 | ~V1, "V1": V1, "V4": ~V1}.items():
        known = mask & (CEILING > 0)
        row = found.rows()[region]
        assert row["targets"] == mask.sum()
        assert row["pearson"] == pytest.approx(r[mask].mean(), rel=1e-6)
        assert row["pearson_median"] == pytest.approx(np.median(r[mask]), rel=1e-6)
        assert row["spread_ratio"] == pytest.approx(spread[mask].mean(), rel=1e-6)
        assert row["spread_ratio_median"] == pytest.approx(np.median(spread[mask]), rel=1e-6)
        assert row["ks_distance_median"] == pytest.approx(np.median(ks[mask]))
        root = np.sqrt(CEILING[known])
        assert row["noise_normalised"] == pytest.approx((r[known] / root).mean(), rel=1e-6)
        signal = np.median(spread[known] / root)
        assert row["noise_normalised_spread_median"] == pytest.approx(signal, rel=1e-6)


def test_what_is_undefined_counts_zero_in_correlations_and_for_nothing_in_spreads(pair):
    pair.truth[:, 1], pair.predicted[3, 2] = 7, np.nan
    found = by_target(pair, regions={"silent": np.arange(6) == 1})
    kept = [0, 3, 4, 5]
    r, spread, _ = theirs(replace(pair, predicted=pair.predicted[:, kept], truth=pair.truth[:, kept]))
    assert found.summary()["pearson"] == pytest.approx(r.sum() / 6, rel=1e-6)
    assert found.summary()["spread_ratio"] == pytest.approx(spread.mean(), rel=1e-6)
    silent = found.rows()["silent"]
    assert np.isnan(silent["pearson"])
    assert np.isnan(silent["spread_ratio"])
    assert found.to_dict()["regions"]["silent"]["pearson"] is None
    assert found.to_dict()["spread_ratio_per_target"]["n2"] is None


def test_values_are_counted_in_the_truths_deviations():
    truth = np.array([[0.0, 5], [2, 5], [4, 5]])  # the second target is silent, and left out
    found = histogram(truth + 100, truth)
    width = np.diff(found.edges)[0]
    assert found.truth.sum() * width == pytest.approx(1)
    places = (truth[:, 0] - 2) / truth[:, 0].std()
    expected = np.histogram(places, found.edges)[0] / 3 / width
    np.testing.assert_allclose(found.truth, expected)
    assert found.predicted[-1] * width == pytest.approx(1)  # all beyond the last edge


def test_files_hold_the_same(pair, tmp_path):
    found = by_target(pair, CEILING, {"V1": V1})
    names = write_scores({}, found, tmp_path)
    assert sorted(names) == ["distributions.png", "regions.csv", "scores.json", "targets.csv"]
    targets = pd.read_csv(tmp_path / "targets.csv", index_col="target")
    r, spread, ks = theirs(pair)
    np.testing.assert_allclose(targets["pearson"], r, rtol=1e-6)
    np.testing.assert_allclose(targets["spread_ratio"], spread, rtol=1e-6)
    np.testing.assert_allclose(targets["ks_distance"], ks, rtol=1e-6)
    assert targets["noise_normalised"].isna().tolist() == (CEILING == 0).tolist()
    regions = pd.read_csv(tmp_path / "regions.csv", index_col="region")
    assert regions.index.tolist() == ["overall", "V1"]
    assert regions.loc["V1", "spread_ratio"] == pytest.approx(spread[V1].mean(), rel=1e-6)
    assert (tmp_path / "distributions.png").read_bytes()[:4] == b"\x89PNG"


def test_the_command_shows_regions(pair, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    Predictions(IDS, pair.predicted, TARGETS).save("p.npz")
    Predictions(IDS, pair.truth, TARGETS, split="").save("truth.npz")
    np.save("ceiling.npy", CEILING)
    np.savez("rois.npz", V1=V1, V4=~V1)
    command = ["score", "p.npz", "truth.npz", "--ceiling", "ceiling.npy", "--rois", "rois.npz"]
    done = CliRunner().invoke(main, [*command, "--out", "out"])
    assert done.exit_code == 0, done.output
    assert max(map(len, done.stdout.splitlines())) <= 80
    for words in ("spread ratio, median", "Kolmogorov-Smirnov", "V4", "share of ceiling"):
        assert words in done.stdout
    record = json.loads(CliRunner().invoke(main, [*command, "--json"]).stdout)
    _, spread, ks = theirs(pair)
    assert record["spread_ratio_median"] == pytest.approx(np.median(spread), rel=1e-5)
    assert record["regions"]["V1"]["ks_distance"] == pytest.approx(ks[V1].mean(), rel=1e-5)
    assert record["pearson_mean"] == pytest.approx(record["regions"]["overall"]["pearson"])
    assert record == json.loads((tmp_path / "out/scores.json").read_text())


def test_what_does_not_fit_is_refused(pair):
    with pytest.raises(SubmissionError, match="'overall' is the name of all targets"):
        by_target(pair, regions={"overall": V1})
    with pytest.raises(SubmissionError, match="expected masks of 6 bool"):
        by_target(pair, regions={"V1": np.arange(6)})
    with pytest.raises(SubmissionError, match="expected 6 numbers, one a target"):
        by_target(pair, np.ones(5))


def test_a_truth_that_is_missing_has_no_part_where_that_is_asked_for(pair):
    pair.truth[[3, 8, 9], 0], pair.truth[:, 4] = np.nan, np.nan
    found = by_target(pair, CEILING, {"last": np.arange(6) >= 4}, missing=True)
    for target in range(6):
        rows = ~np.isnan(pair.truth[:, target])
        x, y = pair.predicted[rows, target], pair.truth[rows, target]
        if target != 4:
            assert found.each["pearson"][target] == pytest.approx(pearsonr(x, y).statistic, rel=1e-6)
            assert found.each["ks_distance"][target] == pytest.approx(ks_2samp(x, y).statistic)
            assert found.each["spread_ratio"][target] == pytest.approx(x.std() / y.std(), rel=1e-6)
    assert np.isnan(found.each["pearson"][4])
    assert found.rows()["last"]["targets"] == 1
    assert found.summary()["pearson"] == pytest.approx(found.each["pearson"][[0, 1, 2, 3, 5]].mean())
    width = np.diff(found.histogram.edges)[0]
    assert found.histogram.truth.sum() * width == pytest.approx(1)
    pair.truth[:] = np.nan
    assert np.isnan(by_target(pair, missing=True).summary()["pearson"])

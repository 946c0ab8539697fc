"""Challenge scores beside their ceilings, against loops written from the challenges' formulas."""

import numpy as np
import pytest

from submit import SubmissionError, metrics

R = np.array([0.5, -0.3, 0.9, 0.0, 0.2])
CEILING = np.array([0.4, 0.5, 0.6, 0.0, 0.0])


def test_algonauts_2023_is_the_challenges_formula():
    expected = []
    for r, nc in zip(R, CEILING, strict=True):
        squared = 0.0 if r < 0 else r**2
        expected.append(min(squared / (1e-14 if nc == 0 else nc) * 100, 100))
    np.testing.assert_allclose(metrics.algonauts2023(R, CEILING), expected, rtol=1e-14)
    assert expected[2:] == [100, 0, 100]  # above the ceiling; no ceiling, no score; no ceiling, some score


def test_algonauts_2023_without_a_ceiling_is_the_square_in_percent():
    np.testing.assert_allclose(metrics.algonauts2023(R), [25, 0, 81, 0, 4], rtol=1e-14)


def test_the_challenge_concatenates_vertices_before_it_aggregates():
    parts = [np.array([1.0, 2, 3]), np.array([10.0, 20])]
    assert metrics.algonauts2023_challenge(parts) == 3
    assert metrics.algonauts2023_challenge(parts, "mean") == 36 / 5
    with pytest.raises(SubmissionError, match="expected 'median' or 'mean'; found 'sum'"):
        metrics.algonauts2023_challenge(parts, "sum")
    with pytest.raises(SubmissionError, match="of one vertex or more; found none"):
        metrics.algonauts2023_challenge([])


def test_algonauts_2021_averages_voxels_then_regions():
    reliability = np.array([0.4, 0.5, 0.64, -0.1, 0.0])
    rois = {"V1": np.array([1, 1, 0, 1, 0], bool), "FFA": np.array([0, 0, 1, 0, 1], bool)}
    rois["none"] = np.array([0, 0, 0, 1, 1], bool)  # of voxels without reliability
    of_v1 = (0.5 / np.sqrt(0.4) - 0.3 / np.sqrt(0.5)) / 2
    found = metrics.algonauts2021(R, reliability, rois)
    assert found == pytest.approx((of_v1 + 0.9 / 0.8) / 2, rel=1e-14)
    assert np.isnan(metrics.algonauts2021(R, reliability, {"none": rois["none"]}))


def test_algonauts_2021_refuses_numbers_for_masks_and_other_lengths():
    with pytest.raises(SubmissionError, match=r"masks of 5 bool.*'V1' is int64 of shape \(5,\)"):
        metrics.algonauts2021(R, CEILING, {"V1": np.array([1, 0, 1, 0, 0])})
    with pytest.raises(SubmissionError, match=r"expected 5 numbers.*found float64 of shape \(4,\)"):
        metrics.algonauts2021(R, CEILING[1:], {"V1": np.ones(5, bool)})


def test_nx414_takes_its_ceilings_in_percent():
    percent = np.array([49.0, 25, 100, 0, 81])
    explained = np.array([0.2, -0.1, 0.5, 0.3, 0.6])
    r = [0.5 / 0.7, -0.3 / 0.5, 0.9, 0.2 / 0.9]
    np.testing.assert_allclose(metrics.nx414_correlation(R, percent), r, rtol=1e-14)
    ev = [0.2 / 0.49, -0.1 / 0.25, 0.5, 0.6 / 0.81]
    np.testing.assert_allclose(metrics.nx414_variance(explained, percent), ev, rtol=1e-14)


def test_scores_of_many_draws_are_normalised_at_once():
    many = np.stack([R, R / 2, -R])
    for score in (metrics.algonauts2023, metrics.noise_normalised):
        each = [score(r, CEILING) for r in many]
        np.testing.assert_allclose(score(many, CEILING), each, rtol=1e-14)


def test_nan_stays_and_a_ceiling_in_percent_is_refused():
    assert np.isnan(metrics.algonauts2023(np.array([np.nan, 0.5]), np.array([0.5, 0.5]))).tolist() == [
        True,
        False,
    ]
    with pytest.raises(SubmissionError, match=r"between 0 and 1 \(not percent\); found 40 at position '0'"):
        metrics.algonauts2023(R, np.array([40, 0.5, 0.6, 0, 0]))
    with pytest.raises(
        SubmissionError, match="percent of the variance between 0 and 100; found 101 at position '0'"
    ):
        metrics.nx414_correlation(R, np.array([101, 50, 60, 0, 0]))

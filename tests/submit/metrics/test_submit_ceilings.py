"""Noise ceilings: by hand, and on simulated responses whose signal and noise variance are known."""

from itertools import combinations

import numpy as np
import pytest

from submit import SubmissionError, blocks, ceilings, metrics

SIGNAL, NOISE = 2.0, 3.0
# Two images, two presentations each, one target: averages 2 and 6, variances over presentations 2 and 8.
BY_HAND = np.array([[1.0, 3], [4, 8]])[..., None]
PER_TARGET = [
    ceilings.ncsnr,
    ceilings.signal_share,
    ceilings.variance_ceiling,
    ceilings.explainable_variance,
    ceilings.split_half_reliability,
]


@pytest.fixture(scope="module")
def simulated() -> np.ndarray:
    """20,000 images x 3 presentations x 4 targets."""
    rng = np.random.default_rng(0)
    signal = rng.normal(0, np.sqrt(SIGNAL), (20_000, 1, 4))
    return signal + rng.normal(5, np.sqrt(NOISE), (20_000, 3, 4))


@pytest.fixture(scope="module")
def uneven(simulated: np.ndarray) -> np.ndarray:
    """The same with 3 presentations of a third of the images, 2 of a third, 1 of a third."""
    repeats = simulated.copy()
    repeats[1::3, 2] = np.nan
    repeats[2::3, :2] = np.nan
    return repeats


def test_by_hand() -> None:
    noise, total, between = 5.0, np.var([1, 3, 4, 8], ddof=1), 8.0  # noise (2 + 8) / 2, between Var(2, 6)
    np.testing.assert_allclose(ceilings.ncsnr(BY_HAND), np.sqrt((total - noise) / noise))
    np.testing.assert_allclose(ceilings.signal_share(BY_HAND), 1 - noise / 2 / between)
    np.testing.assert_allclose(ceilings.variance_ceiling(BY_HAND), 100 * (1 - noise / 2 / between))
    np.testing.assert_allclose(ceilings.explainable_variance(BY_HAND), (total - noise) / total)


def test_by_hand_with_a_missing_presentation() -> None:
    repeats = np.array([[1.0, 3, np.nan], [4, 8, 6], [5, np.nan, np.nan]])[..., None]
    noise = (1 * 2 + 2 * 4) / 3  # variances 2 of two and 4 of three presentations
    between = np.var([2, 6, 5], ddof=1)
    total = np.var([1, 3, 4, 8, 6, 5], ddof=1)
    np.testing.assert_allclose(ceilings.signal_share(repeats), 1 - noise * (1 / 2 + 1 / 3 + 1) / 3 / between)
    np.testing.assert_allclose(ceilings.ncsnr(repeats), np.sqrt(max(total - noise, 0) / noise))
    total = np.var(
        [1, 3, 4, 8, 6], ddof=1
    )  # FEV: the images with two presentations or more; noise (2 + 4) / 2
    np.testing.assert_allclose(ceilings.explainable_variance(repeats), (total - 3) / total)


def test_the_algonauts_formula() -> None:
    expected = 0.64 / (0.64 + (10 / 3 + 4 / 2 + 6) / 20)
    np.testing.assert_allclose(ceilings.nsd_ceiling(np.array([0.8, 0, np.inf]), (10, 4, 6)), [expected, 0, 1])


def test_equal_repeats_give_one_ceiling_under_three_names(simulated: np.ndarray) -> None:
    share = SIGNAL / (SIGNAL + NOISE / 3)
    nsd = ceilings.nsd_ceiling(ceilings.ncsnr(simulated), (len(simulated), 0, 0))
    np.testing.assert_allclose(nsd, share, rtol=0.02)
    np.testing.assert_allclose(ceilings.signal_share(simulated), share, rtol=0.02)
    np.testing.assert_allclose(ceilings.variance_ceiling(simulated), 100 * share, rtol=0.02)


def test_signal_and_noise_of_different_numbers_of_repeats_are_recovered(uneven: np.ndarray) -> None:
    reciprocal = (1 / 3 + 1 / 2 + 1) / 3  # tolerances: three standard errors
    np.testing.assert_allclose(ceilings.ncsnr(uneven), np.sqrt(SIGNAL / NOISE), rtol=0.03)
    np.testing.assert_allclose(
        ceilings.signal_share(uneven), SIGNAL / (SIGNAL + NOISE * reciprocal), rtol=0.03
    )
    np.testing.assert_allclose(ceilings.explainable_variance(uneven), SIGNAL / (SIGNAL + NOISE), rtol=0.06)


def test_reliability_is_the_share_that_is_signal() -> None:
    rng = np.random.default_rng(1)
    repeats = rng.normal(0, np.sqrt(SIGNAL), (20_000, 1, 2)) + rng.normal(0, np.sqrt(NOISE), (20_000, 4, 2))
    expected = SIGNAL / (SIGNAL + NOISE / 4)
    np.testing.assert_allclose(ceilings.split_half_reliability(repeats), expected, rtol=0.02)


@pytest.mark.parametrize("r", [2, 3, 4])
def test_reliability_goes_over_all_half_splits(r: int) -> None:
    repeats = np.random.default_rng(2).normal(size=(7, r, 2)) + np.arange(7)[:, None, None]
    splits = [half for half in combinations(range(r), r // 2) if r % 2 or 0 in half]
    assert len(splits) == {2: 1, 3: 3, 4: 3}[r]
    for target in range(2):
        found = []
        for half in splits:
            other = [k for k in range(r) if k not in half]
            sides = (repeats[:, list(chosen), target].mean(1) for chosen in (half, other))
            p = np.corrcoef(*sides)[0, 1]
            found.append(2 * p / (1 + p))
        np.testing.assert_allclose(
            ceilings.split_half_reliability(repeats)[target], np.mean(found), rtol=1e-12
        )


def test_an_image_without_one_half_is_left_out_of_that_split() -> None:
    repeats = np.random.default_rng(3).normal(size=(6, 2, 1)) + np.arange(6)[:, None, None]
    without = np.concatenate([repeats, [[[50.0], [np.nan]]]])
    np.testing.assert_allclose(
        ceilings.split_half_reliability(without), ceilings.split_half_reliability(repeats), rtol=1e-12
    )


@pytest.mark.parametrize("ceiling", PER_TARGET, ids=lambda ceiling: ceiling.__name__)
def test_what_cannot_be_known_is_0(ceiling) -> None:
    repeats = np.random.default_rng(0).normal(size=(5, 2, 3))
    repeats[:, :, 1] = 4.0  # silent
    repeats[:, 1, 2] = np.nan  # shown once
    found = ceiling(repeats)
    assert found.shape == (3,)
    assert found[1:].tolist() == [0, 0]
    for silent in (0.1, 1 / 3):  # of which the mean of three, but not of one, is rounded
        repeats = np.full((7, 3, 1), silent)
        assert ceiling(repeats) == 0
        repeats[1:, 2] = np.nan
        assert ceiling(repeats) == 0


def test_a_target_without_noise_has_a_reliability_that_scores_take() -> None:
    repeats = np.repeat(np.random.default_rng(4).normal(size=(50, 1, 200)), 3, axis=1)
    reliability = ceilings.split_half_reliability(repeats)
    np.testing.assert_allclose(reliability, 1, rtol=1e-12)
    assert metrics.algonauts2021(
        np.full(200, 0.5), reliability, {"all": np.ones(200, bool)}
    ) == pytest.approx(0.5)


def test_opposite_halves_have_no_reliability() -> None:
    repeats = np.random.default_rng(5).normal(
        size=(2, 2, 200)
    )  # of two images, p is 1 or -1 but for rounding
    found = ceilings.split_half_reliability(repeats)
    np.testing.assert_allclose(found, np.diff(repeats, axis=0).prod(1)[0] > 0, rtol=1e-12)


def test_many_targets_are_as_few(simulated: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    few = simulated[:50].astype(np.float32)
    whole = [ceiling(few) for ceiling in PER_TARGET]
    monkeypatch.setattr(blocks, "CELLS", 150)  # one target at a time
    np.testing.assert_allclose([ceiling(few) for ceiling in PER_TARGET], whole, rtol=1e-12)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(
        SubmissionError, match=r"\(images, repeats, targets\); found float64 of shape \(4, 2\)"
    ):
        ceilings.ncsnr(np.zeros((4, 2)))
    for r in (1, 17):
        with pytest.raises(SubmissionError, match=f"expected 2 to 16 repeats.*found {r}"):
            ceilings.split_half_reliability(np.zeros((4, r, 2)))
    with pytest.raises(SubmissionError, match=r"3, 2 and 1 repeats; found \(0, 0, 0\)"):
        ceilings.nsd_ceiling(np.ones(2), (0, 0, 0))

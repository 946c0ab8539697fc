"""Ridge regression against scikit-learn, scipy and worked-out kernels."""

import jax
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import pearsonr
from sklearn.linear_model import Ridge as Reference
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler

from jaxlab.core.types import UserError
from jaxlab.data import Images, KFold, Simulated
from jaxlab.encode import FeatureSet, ImageEncoder, banded, bands, dealt, design, eigen, fitted, folds, ridge
from jaxlab.encode.eigen import centred, dual, primal
from jaxlab.encode.extract import StoredLayer
from jaxlab.encode.fitted import Fitted
from jaxlab.encode.folds import Fold
from jaxlab.encode.ridge import Outcome, Ridge, fit
from jaxlab.encode.store import Folder, Layer
from jaxlab.models import LeNet5

ALPHAS = (0.1, 10.0, 1000.0)
N, TARGETS = 60, 7
FOLD = np.arange(N) % 3
ENCODER = ImageEncoder(model=LeNet5(), images=Images(size=(32, 32)))


def problem(width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features whose means are far from 0, and noisy targets that depend on a few of them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(3, 1, (N, width))
    y = x[:, :4] @ rng.normal(size=(4, TARGETS)) + 2 * rng.normal(size=(N, TARGETS)) + 5
    return x.astype(np.float32), y.astype(np.float32)


def maps(seed: int, channels: int = 3) -> np.ndarray:
    """(n, 6, 4, c) features, of which one unit is silent but for one image."""
    x = np.random.default_rng(seed).normal(1, 1, (N, 6, 4, channels)).astype(np.float32)
    x[:, 0, 0, 0] = 0
    x[7, 0, 0, 0] = 1e-3
    return x


def feature_set(ids=None, key: str = "k", **arrays: np.ndarray) -> FeatureSet:
    kept = {
        name: StoredLayer(Folder(key), Layer(name, "none", array.shape, "float32"), array, None, None)
        for name, array in arrays.items()
    }
    return FeatureSet(np.array([f"s{k}" for k in range(N)]) if ids is None else ids, kept)


def config(**fields) -> Ridge:
    return Ridge(data=Simulated(), encoders=(ENCODER,), **{"alphas": ALPHAS, **fields})


def fitted_to(config: Ridge, targets: np.ndarray, **arrays: np.ndarray) -> Outcome:
    return fit(config, feature_set(**arrays), targets, FOLD, lambda _: None)


def basis_of(x: np.ndarray, train: np.ndarray, new: np.ndarray, form: str):
    if form == "primal":
        mean = x[train].mean(0)
        return primal(x[train] - mean, x[new] - mean)[0]
    k = x.astype(np.float64) @ x.astype(np.float64).T
    return dual(*centred(k[np.ix_(train, train)], k[np.ix_(new, train)]))


def folds_of(x: np.ndarray, form: str, fold: np.ndarray = FOLD) -> list[Fold]:
    rows = [
        (np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in range(fold.max() + 1)
    ]
    return [Fold(basis_of(x, train, new, form), train, new) for train, new in rows]


def out_of_fold(x: np.ndarray, y: np.ndarray, alpha: float, fold: np.ndarray = FOLD):
    """(n, t) predictions by scikit-learn, and the means of the rows that each was learned from."""
    guess, mean = np.empty(y.shape), np.empty(y.shape)
    for number in range(fold.max() + 1):
        train, new = fold != number, fold == number
        guess[new] = Reference(alpha=alpha).fit(x[train], y[train]).predict(x[new])
        mean[new] = y[train].mean(0)
    return guess, mean


@pytest.mark.parametrize(("form", "width"), [("primal", 12), ("dual", 12), ("dual", 90)])
def test_folds_score_and_predict_as_scikit_learn(form, width):
    x, y = problem(width)
    by_fold = folds_of(x, form)
    r, r2 = (folds.scores(by_fold, y, ALPHAS, score) for score in ("pearson", "r2"))
    for row, alpha in enumerate(ALPHAS):
        expected, mean = out_of_fold(x, y, alpha)
        for fold in by_fold:
            own = folds.predictions(fold, y, np.full(TARGETS, alpha, np.float32))
            np.testing.assert_allclose(own, expected[fold.new], rtol=1e-3, atol=1e-3)
        for found, of in ((r.pooled, expected), (r.choosing, expected - mean)):
            each = [pearsonr(of[:, t], y[:, t])[0] for t in range(TARGETS)]
            np.testing.assert_allclose(found[row], each, atol=1e-4)
        for found in r2:
            np.testing.assert_allclose(found[row], r2_score(y, expected, multioutput="raw_values"), atol=1e-4)


def test_each_target_has_its_own_penalty_and_targets_come_in_chunks(monkeypatch):
    x, y = problem(12)
    (fold, *_) = folds_of(x, "primal")
    train, new = fold.train, fold.new
    alpha = np.resize(np.float32(ALPHAS), TARGETS)
    whole = folds.predictions(fold, y, alpha), folds.scores([fold], y, ALPHAS, "pearson").pooled
    for target in range(TARGETS):
        alone = Reference(alpha=alpha[target]).fit(x[train], y[train, target]).predict(x[new])
        np.testing.assert_allclose(whole[0][:, target], alone, rtol=1e-3, atol=1e-3)
    monkeypatch.setattr(folds, "_CELLS", 2 * len(train))
    np.testing.assert_allclose(folds.predictions(fold, y, alpha), whole[0], rtol=1e-5)
    np.testing.assert_allclose(folds.scores([fold], y, ALPHAS, "pearson").pooled, whole[1], atol=1e-6)


def test_a_constant_target_has_no_score():
    x, y = problem(12)
    y[:, 2] = 4
    by_fold = folds_of(x, "dual")
    for score in ("pearson", "r2"):
        for found in folds.scores(by_fold, y, ALPHAS, score):
            assert np.isnan(found).all(0).tolist() == [target == 2 for target in range(TARGETS)]
    guess = folds.predictions(by_fold[0], y, np.ones(TARGETS, np.float32))
    np.testing.assert_allclose(guess[:, 2], 4, rtol=1e-6)


def test_kernels_are_centred_as_their_features():
    x, _ = problem(12)
    train, new = x[FOLD > 0].astype(np.float64), x[FOLD == 0].astype(np.float64)
    inner, cross = centred(train @ train.T, new @ train.T)
    a, b = train - train.mean(0), new - train.mean(0)
    np.testing.assert_allclose(inner, a @ a.T, atol=1e-9)
    np.testing.assert_allclose(cross, b @ a.T, atol=1e-9)


@pytest.mark.parametrize("block", [1 << 20, 24 * 3 * 7])
def test_bands_are_blurred_centred_and_scaled(monkeypatch, block):
    monkeypatch.setattr(bands, "_BLOCK", block)
    x = maps(0)
    blurred = gaussian_filter(x.astype(np.float64), (0, 6 * 0.2, 4 * 0.2, 0), mode="reflect").reshape(N, -1)
    band = bands.measure("a", 0.2, x, FOLD)
    assert (band.name, band.width) == ("a~0.2", 72)
    kept = FOLD != 1
    for without, rows in ((None, slice(None)), (1, kept)):
        mean, variance = band.moments(without)
        np.testing.assert_allclose(mean, blurred[rows].mean(0), atol=1e-5)
        np.testing.assert_allclose(variance, blurred[rows].var(0), rtol=1e-3, atol=1e-7)
        plain = blurred - blurred[rows].mean(0)
        expected = plain / np.sqrt(np.square(plain[rows]).sum(1).mean())
        scaled = np.concatenate([np.asarray(part) for _, part in band.scaling(False, without).blocks(x)])
        np.testing.assert_allclose(scaled, expected, atol=1e-5)
    one = band.scaling(False)
    np.testing.assert_allclose(bands.kernel(x, None, one), bands.kernel(x, x.copy(), one), atol=1e-5)
    np.testing.assert_allclose(bands.kernel(x[:5], x, one), bands.kernel(x, None, one)[:5], atol=1e-5)


@pytest.mark.parametrize("piece", [1 << 24, 24 * 3 * 7])
def test_the_kernel_that_is_measured_along(monkeypatch, piece):
    """Of features that drift away from those of the first rows, by which they are moved, and whose mean is large."""
    monkeypatch.setattr(bands, "_PIECE", piece)
    monkeypatch.setattr(bands, "_FEW", 4)
    x = maps(0) + 20 + np.arange(N, dtype=np.float32)[:, None, None, None] / 8
    blurred = gaussian_filter(x.astype(np.float64), (0, 6 * 0.2, 4 * 0.2, 0), mode="reflect").reshape(N, -1)
    plain = blurred - blurred.mean(0)
    expected = plain @ plain.T / np.square(plain).sum(1).mean()
    band = bands.measure("a", 0.2, x, FOLD, with_products=True)
    basis, _ = design.of_band(band, False, False).whole()
    np.testing.assert_allclose(basis.left * basis.values @ basis.left.T, expected, atol=2e-5)
    without = bands.measure("a", 0.2, x, FOLD)
    np.testing.assert_allclose(band.sums, without.sums)
    assert design.of_band(band, True, False).kernels[0].shape == (N, N)  # standardised, it is another
    monkeypatch.setattr(bands, "_BLOCK", N * 72 - 1)
    assert bands.measure("a", 0.2, x, FOLD, with_products=True).products is None


@pytest.mark.parametrize("unit", [1e-17, 1.5e18])
def test_a_kernel_that_is_measured_along_is_of_any_unit(unit):
    """Of 400 features, each of which float32 can square in either unit, while it has no room for the sum of squares."""
    x = (problem(400)[0] * unit).astype(np.float32)
    plain = x.astype(np.float64) - x.mean(0, dtype=np.float64)
    expected = plain @ plain.T / np.square(plain).sum(1).mean()
    found = design.of_band(bands.measure("a", 0.0, x, FOLD * 0, with_products=True), False, False).kernels[0]
    np.testing.assert_allclose(centred(found, found[:0])[0], expected, atol=2e-5)


def test_a_layer_without_units_has_an_empty_kernel():
    band = bands.measure("a", 0.0, np.zeros((N, 0), np.float32), FOLD, with_products=True)
    np.testing.assert_array_equal(band.products, np.zeros((N, N)))


@pytest.mark.parametrize("channels", [1, 5])
def test_blurs_take_some_rows_at_a_time(monkeypatch, channels):
    """Filters of seven rows at a time, and of 60 the last ones twice; or of one, whose filter alone is too large."""
    monkeypatch.setattr(bands, "_FILTERS", 6 * 6 * 6 * 7 if channels == 1 else 1)
    x = np.random.default_rng(0).normal(1, 1, (N, 5, 6, channels)).astype(np.float32)
    expected = gaussian_filter(x.astype(np.float64), (0, 5 * 0.2, 6 * 0.2, 0), mode="reflect").reshape(N, -1)
    np.testing.assert_allclose(jax.jit(bands._blurred, static_argnums=1)(x, 0.2), expected, atol=1e-5)


def test_blurs_of_maps_of_one_channel_do_not_fill_the_memory():
    """Filters of 28 by 28, one for each of 28 lines of 2,000 images of 6 MB, would take 176 MB."""
    image, unit = (jax.ShapeDtypeStruct(shape, np.float32) for shape in ((2000, 28, 28, 1), (28 * 28,)))
    needed = bands._scaled.lower(image, unit, unit, 0.14).compile().memory_analysis()
    assert needed.temp_size_in_bytes < 40e6


@pytest.mark.parametrize(("standardize", "sums"), [(False, 1), (True, N)])
def test_folds_have_sums_of_their_own_where_features_are_standardised(standardize, sums):
    """Left out one at a time, of 60 rows they would be as large as 120 times the features' mean."""
    x = problem(5)[0]
    (band,) = ridge.bands_of(config(standardize=standardize), feature_set(a=x), np.arange(N), lambda _: None)
    assert band.sums.shape == band.squares.shape == (sums, 5)
    mean, variance = band.moments()
    np.testing.assert_allclose(mean, x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(variance, x.astype(np.float64).var(0), rtol=1e-5)


def test_blocks_are_as_large_as_the_weights_beside_them(monkeypatch):
    """Which are moved for each: 7 of 4 features have 28 values, as have 7 rows; no more than memory holds at once."""
    x, y = problem(4)
    found = fitted_to(config(), y, a=x).fitted
    expected, sizes = found.predict(feature_set(a=x)), []
    monkeypatch.setattr(bands, "_PIECE", 4)
    predicted = fitted._predicted
    monkeypatch.setattr(
        fitted, "_predicted", lambda weights, rows, x: sizes.append(len(x)) or predicted(weights, rows, x)
    )
    np.testing.assert_allclose(found.predict(feature_set(a=x)), expected, rtol=1e-5)
    assert sizes == [7] * 8 + [4]
    scaling = found.scalings["a"]
    assert len(list(scaling.blocks(x))) == N
    monkeypatch.setattr(bands, "_BLOCK", 4 * 30)
    assert [rows.stop for rows, _ in scaling.blocks(x, beside=1 << 40)] == [30, 60]


def test_standardised_units_have_one_variance_but_for_silent_ones():
    x = maps(0)
    band = bands.measure("a", 0.0, x, FOLD)
    ((_, block),) = band.scaling(True).blocks(x)
    scaled = np.asarray(block)
    expected = StandardScaler().fit_transform(x.reshape(N, -1))
    np.testing.assert_allclose(
        scaled[:, 1:] / scaled[0, 1], expected[:, 1:] / expected[0, 1], rtol=1e-3, atol=1e-3
    )
    assert np.abs(scaled[:, 0]).max() < 0.01 * np.abs(scaled[:, 1:]).max()  # where z-scores would be 7.7
    assert np.abs(expected[:, 0]).max() > 7


def test_a_sum_of_kernels_is_the_kernel_of_scaled_columns():
    one, other = (bands.measure(name, 0.0, problem(width)[0], FOLD) for name, width in (("a", 5), ("b", 8)))
    weights = (0.3, 0.7)
    wide = design.combined((design.of_band(b, False, True) for b in (one, other)), weights).columns[0]
    kernel = design.combined((design.of_band(b, False, False) for b in (one, other)), weights).kernels[0]
    np.testing.assert_allclose(wide @ wide.T, kernel, atol=1e-5)


def test_the_slopes_of_banded_ridge_are_those_of_finite_differences():
    """Of features whose means are far from 0; and the score is that of scikit-learn's predictions."""
    rng = np.random.default_rng(0)
    wide = [rng.normal(2, 1, size=(N, 8)) for _ in range(3)]
    kernels = np.stack([(x @ x.T / 8).astype(np.float32) for x in wide])
    y = (wide[0] @ rng.normal(size=(8, TARGETS)) + 0.5 * rng.normal(size=(N, TARGETS))).astype(np.float32)
    sides, shares = [banded._side(y, number != FOLD) for number in range(3)], np.array([0.2, 0.5, 0.3])
    score, slopes, by_alpha = banded._score(kernels, sides, shares, 0.7)
    columns = np.hstack([x * np.sqrt(share / 8) for x, share in zip(wide, shares, strict=True)])
    guess, mean = out_of_fold(columns, y, 0.7)
    expected = [pearsonr(guess[:, t] - mean[:, t], y[:, t])[0] for t in range(TARGETS)]
    assert score == pytest.approx(np.mean(expected), abs=1e-5)
    for band, step in enumerate(1e-3 * np.eye(3)):
        up, down = (banded._score(kernels, sides, shares + sign * step, 0.7)[0] for sign in (1, -1))
        assert slopes[band] == pytest.approx((up - down) / 2e-3, abs=5e-4)
    up, down = (banded._score(kernels, sides, shares, 0.7 + step)[0] for step in (1e-3, -1e-3))
    assert by_alpha == pytest.approx((up - down) / 2e-3, abs=5e-4)
    learned = banded.weights(kernels, y, FOLD)
    assert learned.sum() == pytest.approx(1)
    assert learned[0] > 0.8  # the only band that the targets depend on


def best_penalty(x: np.ndarray, y: np.ndarray, fold: np.ndarray = FOLD) -> np.ndarray:
    """(t,) by scikit-learn: of the correlation of all folds' predictions, each above the mean that it learned."""
    r = []
    for alpha in ALPHAS:
        guess, mean = out_of_fold(x, y, alpha, fold)
        r.append([pearsonr(guess[:, t] - mean[:, t], y[:, t])[0] for t in range(y.shape[1])])
    return np.array(ALPHAS)[np.argmax(r, 0)]


@pytest.fixture
def two_gpus(monkeypatch):
    """Work is dealt to two devices, as it is where they are not a CPU's; a block has ten rows of 200."""
    used = []
    monkeypatch.setattr(eigen.jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(dealt, "devices", lambda: jax.local_devices()[2:])
    monkeypatch.setattr(bands, "_BLOCK", 2000)
    scaled = bands._scaled
    monkeypatch.setattr(bands, "_scaled", lambda *given: used.append(found := scaled(*given)) or found)
    yield
    assert {device for array in used for device in array.devices()} == set(jax.local_devices()[2:])


@pytest.mark.parametrize(("width", "devices"), [(9, None), (200, None), (200, "two_gpus")])
def test_a_fit_is_scikit_learns_with_the_best_penalty_of_each_target(width, devices, request):
    if devices:
        request.getfixturevalue(devices)
    x, y = problem(width)
    outcome = fitted_to(config(), y, a=x)
    scale = np.sqrt(np.square(x - x.mean(0)).sum(1).mean())
    scaled = (x - x.mean(0)) / scale
    alpha = best_penalty(scaled, y)
    assert outcome.fitted.alpha.tolist() == pytest.approx(alpha.tolist())
    new = problem(width, seed=3)[0]
    ours = outcome.fitted.predict(feature_set(a=new))
    for target in range(TARGETS):
        reference = Reference(alpha=alpha[target]).fit(scaled, y[:, target])
        expected = reference.predict((new - x.mean(0)) / scale)
        np.testing.assert_allclose(ours[:, target], expected, rtol=2e-3, atol=2e-3)
    train, held = FOLD != 1, FOLD == 1
    first = Reference(alpha=alpha[0]).fit(scaled[train], y[train, 0]).predict(scaled[held])
    np.testing.assert_allclose(outcome.out_of_fold[held, 0], first, rtol=2e-3, atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("combine", ["sum", "banded", "best"])
@pytest.mark.parametrize("standardize", [False, True])
def test_weights_of_rows_predict_as_weights_of_features(monkeypatch, combine, standardize):
    one, other, y = maps(0), problem(30, 2)[0], problem(4)[1]
    settings = config(combine=combine, standardize=standardize, blur=(0.0, 0.3))
    outcome = fitted_to(settings, y, a=one, b=other)
    assert [row.name for row in outcome.rows[:3]] == ["a", "a~0.3", "b"]
    assert outcome.rows[3].name == combine
    if combine == "best":
        assert outcome.rows[3].mean == max(row.mean for row in outcome.rows[:3])
    monkeypatch.setattr(fitted, "PRIMAL_BYTES", 0)
    by_rows = fitted_to(settings, y, a=one, b=other).fitted
    assert by_rows.weights is None
    new, train = feature_set(a=maps(5), b=problem(30, 6)[0]), feature_set(a=one, b=other)
    expected = outcome.fitted.predict(new)
    np.testing.assert_allclose(by_rows.predict(new, train), expected, rtol=1e-3, atol=1e-3)
    again = Fitted.from_arrays(by_rows.to_arrays(), by_rows.record())
    np.testing.assert_array_equal(again.predict(new, train), by_rows.predict(new, train))
    with pytest.raises(UserError, match="needs their features as they were: expected those of fingerprint"):
        by_rows.predict(new, feature_set(key="other", a=one, b=other))


def test_primal_and_dual_agree_where_features_are_standardised_in_each_fold():
    x, y = problem(20)
    settings = config(standardize=True)
    primal_form = fitted_to(settings, y, a=x)
    band = bands.measure("a", 0.0, x, FOLD)
    kernels = design.of_band(band, True, False)
    for number in range(3):
        train, new = np.flatnonzero(number != FOLD), np.flatnonzero(number == FOLD)
        fold = Fold(kernels.fold(number, train, new), train, new)
        guess = folds.predictions(fold, y, primal_form.fitted.alpha)
        np.testing.assert_allclose(guess, primal_form.out_of_fold[new], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"alphas": ()}, r"Ridge.alphas: expected penalties above 0, found \(\)"),
        ({"alphas": (1.0, 0.0)}, r"Ridge.alphas: expected penalties above 0"),
        ({"alphas": (1.0, float("nan"))}, r"Ridge.alphas: expected penalties above 0, found \(1.0, nan\)"),
        ({"alphas": (1e-50,)}, r"found \(1e-50,\); they are float32, of 1.2e-38 to 3.4e\+38"),
        (
            {"blur": (float("nan"),)},
            r"Ridge.blur: expected different shares of the map, 0 or more, found \(nan,\)",
        ),
        ({"blur": (0.1, 0.1)}, r"Ridge.blur: expected different shares"),
        ({"blur": (0.1, 0.10000001)}, r"Ridge.blur: expected different shares"),  # both would be `a~0.1`
        ({"blur": (-0.1,)}, r"Ridge.blur: expected different shares of the map, 0 or more"),
        ({"limit": 3}, r"Ridge.limit: expected one sample a fold or more, found 3"),
    ],
)
def test_settings_that_cannot_be(fields, words):
    with pytest.raises(UserError, match=words):
        config(**fields)


@pytest.mark.parametrize("width", [12, 90])
def test_coefficients_keep_their_digits_beside_a_large_mean(width):
    x, y = problem(width)
    x = x - x.mean(0)
    y = y + np.float32(1e5)
    alpha = np.full(TARGETS, 10, np.float32)
    basis, vectors = primal(x, x[:0])
    expected = Reference(alpha=10.0).fit(x.astype(np.float64), y.astype(np.float64)).coef_.T
    scale = np.abs(expected).max()
    np.testing.assert_allclose(folds.coefficients(basis, vectors, y, alpha), expected, atol=2e-4 * scale)


# -- no penalty, weight or score depends on what targets are measured in, or from where


@pytest.mark.parametrize("combine", ["sum", "banded", "best"])
@pytest.mark.parametrize(
    ("unit", "offset"), [(1e-30, 0.0), (1e-13, 1e9), (1.0, 1e6), (1e15, 1e9), (1e30, 0.0)]
)
def test_targets_of_any_unit_and_offset_are_learned_alike(unit, offset, combine):
    x, y = problem(9)
    y = y.astype(np.float64)
    y[:, 1] = 7  # and one is constant
    measured = (y + offset) * unit if offset else (y * unit).astype(np.float32)
    features, settings = {"a": x, "b": problem(5, 2)[0]}, config(combine=combine)
    plain, other = (fitted_to(settings, targets, **features) for targets in (y.astype(np.float32), measured))
    assert plain.fitted.alpha.tolist() == other.fitted.alpha.tolist()
    np.testing.assert_allclose(plain.rows[-1].score, other.rows[-1].score, atol=1e-4)
    new = feature_set(a=problem(9, 3)[0], b=problem(5, 4)[0])
    for guess, expected in (
        (other.fitted.predict(new), plain.fitted.predict(new)),
        (other.out_of_fold, plain.out_of_fold),
    ):
        back = guess.astype(np.float64) / unit - offset
        np.testing.assert_allclose(back, expected, atol=2e-3)


@pytest.mark.parametrize("width", [9, 90])
def test_r2_beside_a_mean_of_a_million_deviations_is_scikit_learns(width):
    """Of targets that are float32 already: what is lost there is lost, and no more."""
    x, y = problem(width)
    x = (x - x.mean(0)).astype(np.float32)
    y = (y / y.std(0) + 1e6).astype(np.float32)
    outcome = fitted_to(config(alphas=(1e-3,), score="r2"), y, a=x)
    scaled = x / np.sqrt(np.square(x).sum(1).mean())
    expected, _ = out_of_fold(scaled.astype(np.float64), y.astype(np.float64), 1e-3)
    ours = r2_score(y, outcome.out_of_fold, multioutput="raw_values")
    np.testing.assert_allclose(ours, r2_score(y, expected, multioutput="raw_values"), atol=1e-4)
    whole = Reference(alpha=1e-3).fit(scaled.astype(np.float64), y.astype(np.float64)).predict(scaled)
    fit_now = outcome.fitted.predict(feature_set(a=x))
    np.testing.assert_allclose(fit_now, whole, rtol=0, atol=1e-3)


# -- folds too small for a score of their own: of one row, of two, of rows on which targets are silent. Penalties are
# chosen by the predictions of all folds together


SMALL = {
    "leave one out": np.arange(N),
    "pairs": np.arange(N) // 2,
    "one row alone": np.repeat([0, 1, 2], [29, 30, 1]),
    "of different sizes": np.sort(np.random.default_rng(1).integers(0, 25, N)),
}


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("score", ["pearson", "r2"])
def test_folds_of_any_size_choose_penalties(kind, score):
    _, fold = np.unique(SMALL[kind], return_inverse=True)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 10))
    x /= np.sqrt(np.square(x - x.mean(0)).sum(1).mean())  # as bands are scaled
    y = x @ rng.normal(size=(10, TARGETS)) * 10 + 0.1 * rng.normal(size=(N, TARGETS))
    outcome = fit(
        config(score=score, alphas=(1e-3, 0.1, 1e4)), feature_set(a=x.astype(np.float32)),
        y.astype(np.float32), fold, lambda _: None,
    )  # fmt: skip
    assert (outcome.fitted.alpha < 1).all(), "the largest predicts all but constants"
    guess, _ = out_of_fold(x, y, 1e-3, fold)
    spread = outcome.out_of_fold.std(0) / guess.std(0)
    np.testing.assert_allclose(spread, 1, atol=0.1)
    r = [pearsonr(outcome.out_of_fold[:, t], y[:, t])[0] for t in range(TARGETS)]
    assert outcome.rows[-1].mean == pytest.approx(
        np.mean(r) if score == "pearson" else r2_score(y, outcome.out_of_fold), abs=1e-4
    )


def test_leave_one_out_chooses_the_penalties_of_scikit_learn():
    """Its RidgeCV leaves one out too, and takes the penalty of the least squared error."""
    x, y = problem(10)
    x = x - x.mean(0)
    x /= np.sqrt(np.square(x).sum(1).mean())
    expected = RidgeCV(ALPHAS, alpha_per_target=True).fit(x, y)
    outcome = fit(config(score="r2"), feature_set(a=x), y, np.arange(N), lambda _: None)
    assert outcome.fitted.alpha.tolist() == pytest.approx(expected.alpha_.tolist())
    new = problem(10, seed=3)[0] * 0.1
    np.testing.assert_allclose(
        outcome.fitted.predict(feature_set(a=new)), expected.predict(new), rtol=2e-3, atol=2e-3
    )


def test_targets_of_noise_do_not_take_the_least_penalty_for_it():
    """Left out, a row's own mean is below that of the others where it is above: together, r of no knowledge is -1."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(N, 40)).astype(np.float32), rng.normal(size=(N, 200)).astype(np.float32)
    outcome = fit(config(alphas=(1e-3, 1e4)), feature_set(a=x), y, np.arange(N), lambda _: None)
    assert 0.3 < (outcome.fitted.alpha == np.float32(1e-3)).mean() < 0.7


@pytest.mark.parametrize("combine", ["best", "banded"])
def test_bands_are_chosen_and_weighed_by_folds_of_one_row(combine):
    """One band of noise first, then one that the targets depend on, of 24 rows each in a fold of its own."""
    rng = np.random.default_rng(0)
    noise, signal = rng.normal(size=(2, 24, 6)).astype(np.float32)
    y = signal @ rng.normal(size=(6, TARGETS)).astype(np.float32)
    few = feature_set(np.array([f"s{k}" for k in range(24)]), a=noise, b=signal)
    outcome = fit(config(combine=combine), few, y, np.arange(24), lambda _: None)
    gains = {name: np.square(scaling.gain).sum() for name, scaling in outcome.fitted.scalings.items()}
    assert max(gains, key=gains.get) == "b"
    assert combine == "banded" or list(gains) == ["b"]


def test_weights_of_bands_are_learned_from_ten_folds_at_most(monkeypatch):
    """Each takes the memory of all bands' kernels; rows of one fold stay together."""
    x, y = problem(5)
    fold, seen = np.arange(N) // 2, []
    monkeypatch.setattr(ridge.banded, "weights", lambda kernels, _, fold: seen.append(fold) or np.ones(2) / 2)
    for each in (fold, FOLD):
        fit(config(combine="banded"), feature_set(a=x, b=x[:, :3]), y, each, lambda _: None)
    many, few = seen
    assert np.unique(many).tolist() == list(range(10))
    assert all(len(np.unique(many[fold == number])) == 1 for number in range(N // 2))
    np.testing.assert_array_equal(few, FOLD)


def test_what_would_not_fit_into_memory_is_refused(monkeypatch):
    """Of 2,000 rows and 5,000 features a kernel has 16 MB; each fold has one where its features are standardised."""
    monkeypatch.setattr("jaxlab.core.machine.memory", lambda: 2**30)
    alone = {"standardize": True, "split": KFold(folds=9999)}
    ridge.check_designs(config(), 2000, [(10, 10, 50)])
    ridge.check_designs(config(**alone), 2000, [(7,), (2, 2, 14)])  # 63 features: 2,001 times half a megabyte
    with pytest.raises(
        UserError, match=r"found about 30 GiB to make; most of it follows from split.folds \(with"
    ):
        ridge.check_designs(config(**alone), 2000, [(10, 10, 50)])
    with pytest.raises(UserError, match=r"found about 1.8 GiB"):  # kernels of 9 MB, and folds' sums of 1.9 GB
        ridge.check_designs(config(**alone), 60, [(64, 112, 280)])
    with pytest.raises(UserError, match=r"found about 37.3 GiB to make; most of it follows from limit"):
        ridge.check_designs(config(blur=(0.0, 0.1)), 100_000, [(10, 10, 499), (200,)])


@pytest.mark.usefixtures("nans_allowed")
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.nan, r"those of 2 of 60 samples are not finite \(s5, s9\)"),
        (-np.inf, r"those of 2 of 60 samples are not finite \(s5, s9\)"),
        (3e38, "expected values that float32 can square, found larger ones"),
    ],
)
def test_features_that_are_not_finite_are_refused(value, words):
    x, y = problem(6)
    x[[5, 9], 2] = value
    with pytest.raises(UserError, match=f"features a: {words}"):
        fitted_to(config(), y, a=x)


@pytest.mark.parametrize("combine", ["best", "banded"])
def test_what_has_no_score_chooses_no_band(combine):
    x, silent = problem(5)[0], np.full((N, 2), 3, np.float32)
    outcome = fitted_to(config(combine=combine), silent, a=x, b=x[:, :3])
    assert np.isnan([row.mean for row in outcome.rows]).all()
    assert list(outcome.fitted.scalings) == ["a", "b"]
    np.testing.assert_array_equal(outcome.out_of_fold, silent)


def test_features_that_were_changed_in_memory_stay_changed(tmp_path):
    """Pages of files are let go once they were read; those of a private copy hold what no file has."""
    np.save(tmp_path / "x.npy", np.ones((N, 4), np.float32))
    for mode, factor in (("r", 1), ("c", 2)):
        x = np.load(tmp_path / "x.npy", mmap_mode=mode)
        if mode == "c":
            x *= 2
        scaling = bands.Scaling(0.0, np.zeros(4, np.float32), np.ones(4, np.float32))
        for _ in range(2):
            np.testing.assert_array_equal(bands.kernel(x, None, scaling), np.full((N, N), 4.0 * factor**2))

"""Ridge regressions that share what subjects have found, against numpy with weights of features in place of kernels."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge as Reference
from told import each

from jaxlab.core.types import UserError
from jaxlab.data import Pooled, Simulated
from jaxlab.encode import bands, fitted, shared, subjects
from jaxlab.encode.extract import FeatureSet, StoredLayer
from jaxlab.encode.joint import Joint
from jaxlab.encode.ridge import Ridge, fit
from jaxlab.encode.shared import Subject
from jaxlab.encode.store import Folder, Layer
from jaxlab.encode.subjects import FittedSubjects, fit_subjects

RNG = np.random.default_rng(0)
SIZES, TARGETS, WIDTH, FOLDS = {"a": 30, "b": 24, "c": 12}, {"a": 4, "b": 3, "c": 5}, 40, 3
COUNT = sum(SIZES.values())
X = RNG.normal(1, 1, (COUNT, WIDTH)).astype(np.float32)
FOLD = RNG.integers(0, FOLDS, COUNT)
COMMON = RNG.normal(size=(WIDTH, 3))  # that the weights of all subjects are made of
ALPHAS, SHARES = (0.01, 0.1, 1.0), (0.0, 0.5, 0.8)


def pooled() -> dict[str, Subject]:
    """Three subjects, whose rows take turns."""
    found, order = {}, RNG.permutation(COUNT)
    for name, size in SIZES.items():
        rows, order = np.sort(order[:size]), order[size:]
        y = X[rows] @ COMMON @ RNG.normal(size=(3, TARGETS[name]))
        y = 5 + 3 * (y / y.std(0) + 0.5 * RNG.normal(size=y.shape))
        found[name] = Subject(rows, y.astype(np.float32), FOLD[rows])
    return found


SUBJECTS = pooled()


def feature_set() -> FeatureSet:
    stored = StoredLayer(Folder("k"), Layer("x", "none", X.shape, "float32"), X, None, None)
    return FeatureSet(np.array([f"i{k}" for k in range(COUNT)]), {"x": stored})


def config(encoder, **fields) -> Ridge:
    return Ridge(**{"data": Pooled(), "encoders": (encoder,), "alphas": ALPHAS, **fields})


@pytest.fixture(scope="module")
def encoder():
    from jaxlab.data import Images
    from jaxlab.encode import ImageEncoder
    from jaxlab.models import LeNet5

    return ImageEncoder(model=LeNet5(), images=Images(size=(32, 32)))


def scaled() -> np.ndarray:
    x = X.astype(np.float64) - X.mean(0)
    return x / np.sqrt(np.square(x).sum(1).mean())


def weights_alone(x, one: Subject, alpha, number=None) -> np.ndarray:
    """(p, t) by scikit-learn, of targets in units of their deviation over all of the subject's rows."""
    learn = one.fold != (-1 if number is None else number)
    y = one.targets / one.targets.std(0)
    models = [Reference(alpha=a).fit(x[one.rows][learn], y[learn, t]) for t, a in enumerate(alpha)]
    return np.stack([model.coef_ for model in models], 1)


def with_others(x, name: str, number, share, alpha, lone, count) -> tuple[np.ndarray, np.ndarray]:
    """(p, t) weights and (t,) intercepts: ridge regression under the covariance that is told, features by features."""
    one = SUBJECTS[name]
    learn = one.fold != (-1 if number is None else number)
    own, y = x[one.rows][learn], one.targets[learn].astype(np.float64)
    prior = np.zeros((WIDTH, WIDTH))
    for other, them in SUBJECTS.items():
        if other != name:
            left, sizes, _ = np.linalg.svd(weights_alone(x, them, lone[other], number), full_matrices=False)
            kept = left[:, :count] * sizes[:count]
            prior += kept @ kept.T
    above = own - own.mean(0)
    usual, told = np.square(above).sum(1).mean(), np.einsum("np,pq,nq->n", above, prior, above).mean()
    covariance = (1 - share) * np.eye(WIDTH) + share * usual / told * prior
    weights = np.empty((WIDTH, y.shape[1]))
    for t, a in enumerate(alpha):
        gram = above @ covariance @ above.T + a * np.eye(len(above))
        weights[:, t] = covariance @ above.T @ np.linalg.solve(gram, y[:, t] - y[:, t].mean())
    return weights, y.mean(0) - own.mean(0) @ weights


@pytest.mark.parametrize("count", [2, 64])
def test_a_subject_learns_where_the_weights_of_others_lie(encoder, count):
    found = fit_subjects(
        config(encoder, shared=SHARES, components=count), feature_set(), SUBJECTS, lambda _: None
    )
    x = scaled()
    kernel = (x @ x.T).astype(np.float32)
    lone = {
        name: shared.choose(kernel[np.ix_(one.rows, one.rows)], one, ALPHAS, "pearson").alpha
        for name, one in SUBJECTS.items()
    }
    new = RNG.normal(1, 1, (5, WIDTH)).astype(np.float32)
    for name, one in SUBJECTS.items():
        outcome = found[name]
        share, alpha = float(outcome.rows[-1].name.split()[1]), outcome.fitted.alpha
        guess = np.empty(one.targets.shape)
        for number in range(FOLDS):
            weights, intercept = with_others(x, name, number, share, alpha, lone, count)
            guess[one.fold == number] = x[one.rows][one.fold == number] @ weights + intercept
        np.testing.assert_allclose(outcome.out_of_fold, guess, rtol=1e-3, atol=2e-3)
        r = [np.corrcoef(guess[:, t], one.targets[:, t])[0, 1] for t in range(guess.shape[1])]
        np.testing.assert_allclose(outcome.rows[-1].score, r, atol=1e-3)
        weights, intercept = with_others(x, name, None, share, alpha, lone, count)
        z = (new - X.mean(0)) / np.sqrt(np.square(X - X.mean(0)).sum(1).mean())
        stored = StoredLayer(Folder("n"), Layer("x", "none", new.shape, "float32"), new, None, None)
        shown = FeatureSet(np.array(list("abcde")), {"x": stored})
        np.testing.assert_allclose(
            outcome.fitted.predict(shown), z @ weights + intercept, rtol=1e-3, atol=2e-3
        )
        assert outcome.rows[-1].mean >= outcome.rows[0].mean  # of which a share of 0 is one
    assert found["c"].rows[-1].mean > found["c"].rows[0].mean + 0.05, "twelve images profit from others' 54"


@pytest.mark.parametrize("bytes_", [1 << 30, 0], ids=["weights of features", "of training rows"])
@pytest.mark.parametrize("shares", [(), (0.5,)], ids=["alone", "shared"])
def test_what_a_checkpoint_holds_predicts_the_same(encoder, monkeypatch, shares, bytes_):
    monkeypatch.setattr(fitted, "PRIMAL_BYTES", bytes_)
    outcomes = fit_subjects(config(encoder, shared=shares), feature_set(), SUBJECTS, lambda _: None)
    whole = FittedSubjects(
        {name: one.fitted for name, one in outcomes.items()}, {n: s.rows for n, s in SUBJECTS.items()}
    )
    assert (whole.weights is None) == (bytes_ == 0)
    again = FittedSubjects.from_arrays(whole.to_arrays(), whole.record())
    values = again.predict(feature_set(), feature_set())
    expected = [
        one.fitted.predict(
            feature_set(), feature_set().of(SUBJECTS[n].rows if not shares else np.arange(COUNT))
        )
        for n, one in outcomes.items()
    ]
    np.testing.assert_array_equal(values, np.concatenate(expected, 1))
    for name, one in SUBJECTS.items():
        r = np.corrcoef(again.of(name, feature_set(), feature_set())[one.rows][:, 0], one.targets[:, 0])[0, 1]
        assert r > 0.7


@pytest.mark.parametrize("processes", [1, 2])
def test_each_subject_by_itself_is_a_ridge_regression_of_its_own_rows(encoder, processes, tmp_path):
    alone = config(encoder)

    def fitted_by(group):
        joint = Joint(group, tmp_path / "fitting")
        return fit_subjects(alone, feature_set(), SUBJECTS, lambda _: None, joint)

    for name, outcome in each(processes, fitted_by)[0].items():
        one = SUBJECTS[name]
        whole = feature_set()
        stored = StoredLayer(whole.kept["x"].folder, whole.kept["x"].layer, X[one.rows], None, None)
        own = FeatureSet(whole.ids[one.rows], {"x": stored})
        expected = fit(alone, own, one.targets, one.fold, lambda _: None)
        np.testing.assert_allclose(outcome.out_of_fold, expected.out_of_fold, atol=1e-5)
        assert outcome.fitted.alpha.tolist() == expected.fitted.alpha.tolist()


def test_images_that_several_samples_show_lie_on_disk_once(encoder, monkeypatch):
    """As if each had a copy; nothing is read but blocks of rows."""
    monkeypatch.setattr(bands, "_BLOCK", 7 * WIDTH)
    monkeypatch.setattr(bands, "_PIECE", 7 * WIDTH)
    monkeypatch.setattr(bands, "_FEW", 5)
    row_of = RNG.integers(0, 9, COUNT)
    seen: list[int] = []

    class OnDisk(np.ndarray):
        def __getitem__(self, rows):
            found = np.asarray(super().__getitem__(rows))
            seen.append(len(found))
            return found

    once = StoredLayer(
        Folder("k"), Layer("x", "none", (9, WIDTH), "float32"), X[:9].view(OnDisk), row_of, None
    )
    copies = StoredLayer(Folder("k"), Layer("x", "none", X.shape, "float32"), X[:9][row_of], None, None)
    ids = feature_set().ids
    found, expected = (
        fit_subjects(config(encoder, shared=(0.5,)), FeatureSet(ids, {"x": one}), SUBJECTS, lambda _: None)
        for one in (once, copies)
    )
    assert 0 < max(seen) <= 7
    for name in SUBJECTS:
        np.testing.assert_array_equal(found[name].out_of_fold, expected[name].out_of_fold)


def test_others_who_know_nothing_leave_a_subject_as_it_is(encoder):
    """Constant targets have no functions to share."""
    flat = {name: Subject(one.rows, np.full_like(one.targets, 3), one.fold) for name, one in SUBJECTS.items()}
    found = fit_subjects(
        config(encoder, shared=(0.5,)), feature_set(), {**flat, "a": SUBJECTS["a"]}, lambda _: None
    )
    lone, chosen = found["a"].rows
    np.testing.assert_allclose(chosen.score, lone.score, atol=1e-5)
    assert np.isnan(found["b"].rows[-1].score).all()
    np.testing.assert_allclose(found["b"].out_of_fold, 3, rtol=1e-6)


@pytest.mark.parametrize("targets", [3, 50], ids=["fewer targets than images", "more"])
def test_the_functions_that_are_shared_are_those_of_largest_norm(targets):
    """Products of what they predict are the best approximation of rank 2 of those of all targets: numpy's SVD."""
    x = scaled()[:20]
    y = RNG.normal(size=(20, targets)).astype(np.float32)
    one = Subject(np.arange(20), y, np.arange(20) % 2)
    alpha = np.full(targets, 0.1, np.float32)
    (found,) = shared.components((x @ x.T).astype(np.float32), one, alpha, 2, [None]).values()
    left, sizes, _ = np.linalg.svd(weights_alone(x, one, alpha), full_matrices=False)
    expected = x @ (left[:, :2] * sizes[:2])
    said = x @ x.T @ found
    np.testing.assert_allclose(
        said @ said.T, expected @ expected.T, rtol=1e-3, atol=1e-3 * (expected**2).max()
    )


def test_a_subject_without_others_is_by_itself(encoder):
    found = fit_subjects(config(encoder, shared=SHARES), feature_set(), {"a": SUBJECTS["a"]}, lambda _: None)
    lone, chosen = found["a"].rows
    assert chosen.score.tolist() == lone.score.tolist()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"shared": (1.0,)}, r"Ridge.shared: expected shares, 0 or more and below 1, found \(1.0,\)"),
        ({"shared": (0.5,), "combine": "best"}, 'expected combine="sum" or "banded" beside it'),
        ({"shared": (0.5,), "data": Simulated()}, "expected data=Pooled.*, found Simulated"),
        ({"components": 0}, "Ridge.components: expected 1 or more"),
    ],
)
def test_what_cannot_be_shared_is_refused(encoder, fields, said):
    with pytest.raises(UserError, match=said):
        config(encoder, **fields)


def test_too_many_images_are_refused_before_features_are_made():
    subjects.check_room(30_000)
    with pytest.raises(
        UserError, match="of all 73,014 training images would take 20 GB, expected 4 or less; set limit"
    ):
        subjects.check_room(73_014)

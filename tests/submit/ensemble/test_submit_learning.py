"""Weights learned from validation predictions: greedy selection, stacking, and the choice between them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import nnls
from scipy.stats import pearsonr

from submit import Labels, Predictions, SubmissionError, ensemble, score
from submit.ensemble import cross_products
from submit.ensemble.sharing import SharedSamples
from submit.ensemble.stacking import PENALTIES

TARGETS = np.array([f"n{k}" for k in range(6)])


def predictions(values: np.ndarray, first: int = 0, split: str = "validation") -> Predictions:
    ids = np.array([f"i{first + k:04d}" for k in range(len(values))])
    return Predictions(ids, values, TARGETS[: values.shape[1]], split=split)


def planted(noise: np.ndarray, n: int = 200) -> tuple[list[Predictions], Predictions]:
    """A member for each row of noise (m, t), the truth plus so much of it."""
    rng = np.random.default_rng(1)
    truth = rng.standard_normal((n, noise.shape[1])) * 2 + 10
    members = [predictions(truth + rng.standard_normal(truth.shape) * row) for row in noise]
    return members, predictions(truth, split="")


def rows(side: Predictions, chosen: slice, split: str | None = None) -> Predictions:
    return replace(side, ids=side.ids[chosen], values=side.values[chosen], split=split or side.split)


def mean_r(values: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean([pearsonr(x, y).statistic for x, y in zip(values.T, truth.T, strict=True)]))


UNLIKE = np.full((3, 6), 4.0)
UNLIKE[np.arange(6) % 3, np.arange(6)] = 0.5  # each member is good at two targets


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_greedy_is_the_selection_written_out(statistic):
    members, truth = planted(np.array([[1.0] * 6, [1.5] * 6, [2.0] * 6, [9.0] * 6]), n=60)
    found = ensemble.greedy(members, truth, statistic=statistic)
    values, over = [member.values.astype(float) for member in members], getattr(np, statistic)
    bag, best, kept = [], -1.0, []
    for _ in range(50):
        scores = []
        for i in range(4):
            mixed = np.mean([values[j] for j in [*bag, i]], axis=0)
            scores.append(
                over([pearsonr(mixed[:, t], truth.values[:, t].astype(float)).statistic for t in range(6)])
            )
        bag.append(int(np.argmax(scores)))
        if max(scores) > best:
            best, kept = max(scores), list(bag)
    np.testing.assert_allclose(found.weights[0], np.bincount(kept, minlength=4) / len(kept))
    assert found.metric == {"mean": "pearson", "median": "pearson_median"}[statistic]
    expected = mean_r(values[1], truth.values) if statistic == "mean" else None
    assert expected is None or found.singles[1] == pytest.approx(expected)


def test_of_equal_members_the_first_is_taken():
    members, truth = planted(np.array([[1.0] * 6]))
    found = ensemble.greedy([members[0]] * 3, truth)
    assert found.weights.tolist() == [[1, 0, 0]]


@pytest.mark.parametrize("by", ["all", "roi", "target"])
def test_stacked_weights_are_those_of_scipy_on_the_augmented_system(by):
    members, truth = planted(UNLIKE)
    regions = {"even": np.arange(6) % 2 == 0, "first": np.arange(6) == 0, "one": np.arange(6) == 1}
    found = ensemble.stack(members, truth, by=by, regions=regions if by == "roi" else None)
    groups = {"all": [range(6)], "roi": [[0, 2, 4], [1], [3, 5]], "target": [[t] for t in range(6)]}[by]
    assert found.groups == {"all": ("all",), "roi": ("even", "one", "no region"), "target": None}[by]
    assert found.penalty in PENALTIES
    x = np.stack([member.values for member in members], axis=2).astype(float)  # (n, t, m)
    y = truth.values.astype(float)
    scale = y.std(0) * np.sqrt(len(y))
    x, y = (x - x.mean(0)) / scale[:, None], (y - y.mean(0)) / scale
    for row, group in zip(found.weights, groups, strict=True):
        share = np.sqrt(found.penalty * len(group))
        system = np.vstack([*(x[:, t] for t in group), share * np.eye(3)])
        wanted = np.concatenate([*(y[:, t] for t in group), np.full(3, share / 3)])
        np.testing.assert_allclose(row, nnls(system, wanted)[0], atol=1e-6)


def test_stacking_keeps_the_units():
    """The mean of the truth is met, whatever that of the members is, and errors are smaller than those of the mean."""
    members, truth = planted(UNLIKE)
    apart = [replace(member, values=member.values + 3) for member in members]
    found, plain = (c.apply(apart) for c in (ensemble.stack(apart, truth), ensemble.greedy(apart, truth)))
    np.testing.assert_allclose(found.values.mean(0), truth.values.mean(0), rtol=1e-5)
    assert (score(found, truth).explained_variance > score(plain, truth).explained_variance).all()
    assert (score(found, truth).mse < score(ensemble.mean(members), truth).mse).all()


def test_scores_are_of_weights_that_have_not_seen_the_samples():
    """Each part's samples are combined by what is learned from the others alone; r is taken over all of them."""
    members, truth = planted(UNLIKE, n=100)
    found = ensemble.greedy(members, truth)
    part = SharedSamples.of(members, truth).part()
    assert sorted(np.bincount(part)) == [20] * 5
    out = np.empty(truth.values.shape)
    for j in range(5):
        others = [rows(member, part != j) for member in members]
        weights = ensemble.greedy(others, rows(truth, part != j)).weights[0]
        out[part == j] = sum(
            w * (m.values - m.values.mean(0))[part == j] for w, m in zip(weights, members, strict=True)
        )
    assert found.score == pytest.approx(mean_r(out, truth.values), abs=1e-6)
    plain = np.mean([member.values for member in members], axis=0)
    assert found.scores["mean"] == pytest.approx(mean_r(plain, truth.values), abs=1e-6)


def test_stacking_by_target_gains_on_fresh_samples_where_members_differ_by_target():
    members, truth = planted(UNLIKE, n=600)
    learned = [rows(member, slice(300)) for member in members]
    fresh = [rows(member, slice(300, None), "test") for member in members]
    found = ensemble.best(learned, truth_of := rows(truth, slice(300)))
    assert (found.method, found.samples) == ("stack (target)", 300)
    r = score(found.apply(fresh), rows(truth, slice(300, None))).mean
    assert r > score(ensemble.mean(fresh), rows(truth, slice(300, None))).mean + 0.1
    assert r == pytest.approx(found.score, abs=0.02)
    regions = {f"r{k}": np.arange(6) % 3 == k for k in range(3)}
    assert "stack (roi)" in ensemble.best(learned, truth_of, regions=regions).scores


def test_noise_scores_nothing():
    """What selection among members of noise finds, where it learns, is not in the score that it reports."""
    rng, honest, seen = np.random.default_rng(0), [], []
    for _ in range(8):
        *members, truth = (predictions(rng.standard_normal((60, 6))) for _ in range(9))
        found = ensemble.best(members, truth)
        honest.append(list(found.scores.values()))
        seen.append(score(ensemble.greedy(members, truth).apply(members), truth).mean)
    assert np.mean(seen) > 0.1
    assert np.abs(np.mean(honest, axis=0)).max() < 0.05


def test_members_with_other_samples_share_some():
    """Rows and columns in any order; the result does not depend on it."""
    members, truth = planted(UNLIKE)
    whole = ensemble.stack([rows(member, slice(50, 180)) for member in members], truth)
    order = np.random.default_rng(0).permutation(130)
    columns = [3, 1, 0, 5, 4, 2]
    other = replace(
        members[1],
        ids=members[1].ids[50:][order], values=members[1].values[50:][order][:, columns], targets=TARGETS[columns],
    )  # fmt: skip
    found = ensemble.stack(
        [members[0], other, rows(members[2], slice(180))], rows(truth, slice(None, None, -1))
    )
    assert found.samples == 130
    np.testing.assert_allclose(found.weights, whole.weights, rtol=1e-9)
    assert found.scores == pytest.approx(whole.scores)
    turned = [replace(m, values=m.values[:, columns], targets=m.targets[columns]) for m in members]
    np.testing.assert_allclose(found.apply(turned).values, whole.apply(members).values, rtol=1e-6)


def test_many_targets_are_learned_as_few(monkeypatch):
    members, truth = planted(UNLIKE)
    whole = ensemble.best(members, truth)
    monkeypatch.setattr(cross_products, "_CELLS", 1600)  # two targets at a time
    blocks = ensemble.best(members, truth)
    np.testing.assert_array_equal(blocks.weights, whole.weights)
    assert blocks.scores == whole.scores


@pytest.mark.parametrize("value", [np.nan, 7.0])
def test_a_target_without_a_score_takes_the_mean(value):
    """As in `score` its r counts 0; the others do not notice it."""
    members, truth = planted(UNLIKE)
    values = truth.values.copy()
    values[:, 2] = 7.0
    values[3, 2] = value
    found = ensemble.stack(members, replace(truth, values=values))
    whole = ensemble.stack(members, truth)
    np.testing.assert_allclose(found.weights[2], 1 / 3)
    assert found.singles == pytest.approx(
        [score(member, replace(truth, values=values)).mean for member in members]
    )
    if found.penalty == whole.penalty:
        np.testing.assert_allclose(np.delete(found.weights, 2, 0), np.delete(whole.weights, 2, 0))
    if np.isnan(value):
        expected = np.mean([member.values[:, 2] for member in members], axis=0)
        np.testing.assert_allclose(found.apply(members).values[:, 2], expected, rtol=1e-6)


def test_a_row_without_truth_is_refused_and_targets_without_a_score_are_counted():
    """Where r is 0 for all, greedy selection would take the first member without a word."""
    members, truth = planted(UNLIKE)
    values = truth.values.copy()
    values[3] = np.nan
    with pytest.raises(
        SubmissionError, match=r"truth.*: 6 values are not finite, the first at id 'i0003', target 'n0'"
    ):
        ensemble.best(members, replace(truth, values=values))
    with pytest.raises(SubmissionError, match="truth is constant over the 200 shared samples"):
        ensemble.best(members, replace(truth, values=np.ones_like(values)))
    values = truth.values.copy()
    values[:, 1], values[5, 4] = 7, np.nan
    found = ensemble.greedy(members, replace(truth, values=values))
    assert (found.constant, found.record()["constant_targets"]) == (2, 2)
    assert ensemble.greedy(members, truth).constant == 0


def test_equal_members_of_a_target_that_hardly_varies_share_its_weight():
    members, truth = planted(UNLIKE)
    values = truth.values.copy()
    values[:, 2] = 1
    values[::50, 2] += 1e-6
    found = ensemble.stack([members[0], members[1], members[1]], replace(truth, values=values))
    assert (found.weights >= 0).all()
    np.testing.assert_allclose(found.weights[:, 1], found.weights[:, 2], atol=1e-6)


def test_members_in_one_order_are_not_copied():
    members, truth = planted(UNLIKE)
    order = np.random.default_rng(0).permutation(200)
    members, truth = [rows(member, order) for member in members], rows(truth, order)
    shared = SharedSamples.of(members, truth)
    for kept, member in zip(shared.members, members, strict=True):
        assert np.shares_memory(kept.values, member.values)
    assert np.shares_memory(shared.truth, truth.values)
    other = SharedSamples.of([rows(member, np.argsort(order)) for member in members], truth)
    np.testing.assert_array_equal(shared.part()[np.argsort(order)], other.part())


def test_a_constant_member_does_no_harm():
    members, truth = planted(UNLIKE)
    found = ensemble.best([*members, replace(members[0], values=np.full((200, 6), 0.1))], truth)
    assert found.singles[3] == 0
    assert found.score == pytest.approx(ensemble.best(members, truth).score, abs=1e-3)


@pytest.fixture
def classes() -> tuple[list[Predictions], Labels]:
    """Three members of 5 classes, of which the first is right the most often."""
    rng = np.random.default_rng(2)
    truth, ids = rng.integers(0, 5, 150), np.array([f"i{k}" for k in range(150)])
    names = np.array(list("pqrst"))
    logits = [np.eye(5)[truth] * 2 + rng.standard_normal((150, 5)) * noise for noise in (1.2, 1.5, 4)]
    return [Predictions(ids, side, names, "logits", "validation") for side in logits], Labels(
        ids, names[truth]
    )


def test_classes_are_selected_by_accuracy(classes):
    members, truth = classes
    found = ensemble.best(members, truth)
    assert set(found.scores) == {"single", "mean", "greedy"}
    assert found.metric == "accuracy"
    assert found.singles == pytest.approx([score(member, truth).accuracy for member in members])
    assert found.scores["mean"] == pytest.approx(score(ensemble.mean(members), truth).accuracy)
    mixed = ensemble.greedy(members, truth).apply(members)
    assert mixed.kind == "probabilities"
    assert score(mixed, truth).accuracy >= max(found.singles)


def test_provenance_says_how_it_was_chosen():
    members, truth = planted(UNLIKE)
    fresh = [rows(replace(m, provenance={"run": f"r{i}"}), slice(9)) for i, m in enumerate(members)]
    found = ensemble.greedy(members, truth, names=["a", "b", "c"])
    made = found.apply(fresh).provenance
    assert made["method"] == "greedy"
    assert made["samples"] == 200
    assert made["weights"] == {"all": found.weights[0].tolist()}
    assert made["scores"] == {"out_of_fold": {"pearson": found.score}}
    assert [part["provenance"]["run"] for part in made["ensemble"]] == ["r0", "r1", "r2"]
    assert made["compared"]["members"] == ["a", "b", "c"]
    spread = ensemble.stack(members, truth).apply(fresh).provenance["weights"]
    assert set(spread) == {"lowest", "median", "highest"}


def test_a_target_takes_nothing_of_members_that_it_leaves_out():
    """Nor where those predict nothing for it."""
    members, truth = planted(UNLIKE)
    found = ensemble.select(members, truth, keep=1)
    weights = found.by_target()
    fresh = [replace(m, values=np.where(weights[:, i] > 0, m.values, np.nan)) for i, m in enumerate(members)]
    assert np.isnan(fresh[0].values).any()
    expected = np.take_along_axis(np.stack([m.values for m in members]), weights.argmax(1)[None, None], 0)[0]
    np.testing.assert_allclose(found.apply(fresh).values, expected, rtol=1e-6)


def test_what_cannot_be_learned_from_is_refused_all_at_once():
    members, truth = planted(UNLIKE)
    bad = [
        replace(members[0], split="test"),
        replace(members[1], targets=np.array([*TARGETS[:5], "m"])),
        replace(members[2], kind="logits"),
    ]
    with pytest.raises(SubmissionError) as caught:
        ensemble.best(bad, truth, names=["a.npz", "b.npz", "c.npz"])
    assert str(caught.value).splitlines() == [
        "a.npz is of the split 'test': weights are chosen on validation or out-of-fold predictions, never on test.",
        "1 targets missing from b.npz: 'n5'",
        "1 targets in b.npz that are not expected: 'm'",
        "c.npz is of kind 'logits', a.npz of 'regression'.",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m, y: (m[:1], y), "two members or more to combine, found 1"),
        (lambda m, y: ([rows(m[0], slice(12)), m[1]], y), "12 ids are .* 20 or more.*1 12, Prediction 2 200"),
        (lambda m, y: (m, rows(y, slice(198))), "truth lacks 2 of the 200 ids .*: 'i0198', 'i0199'"),
        (lambda m, y: (m, Labels(y.ids, y.ids)), "kind 'regression', the truth holds class names"),
        (lambda m, y: ([replace(m[0], values=np.inf * m[0].values), m[1]], y), "1: 1,200 values.*'i0000', target 'n0'"),
        (lambda m, y: ([replace(side, kind="logits") for side in m], y), "kind 'logits', the truth holds numbers"),
    ],
)  # fmt: skip
def test_bad_evidence_is_refused(change, message):
    members, truth = change(*planted(UNLIKE))
    with pytest.raises(SubmissionError, match=message):
        ensemble.greedy(members, truth)


def test_bad_regions_and_stacked_classes_are_refused(classes):
    members, truth = planted(UNLIKE)
    with pytest.raises(SubmissionError, match="needs regions"):
        ensemble.stack(members, truth, by="roi")
    with pytest.raises(SubmissionError, match=r"regions: expected masks of 6 bool.*'V1'"):
        ensemble.stack(members, truth, by="roi", regions={"V1": np.ones(5, bool)})
    with pytest.raises(SubmissionError, match="Stacking is for regressions"):
        ensemble.stack(*classes)
    some, names = classes
    with pytest.raises(SubmissionError, match="1 classes of the truth are not predicted: 'x'"):
        ensemble.greedy(some, replace(names, labels=np.array(["x", *names.labels[1:]])))


def test_weights_are_applied_to_the_same_members_only(classes):
    members, truth = planted(UNLIKE)
    found = ensemble.greedy(members, truth)
    with pytest.raises(SubmissionError, match="3 weights for 2 predictions"):
        found.apply(members[:2])
    with pytest.raises(
        SubmissionError, match=r"Prediction 2 does not match Prediction 1: 1 ids missing.*'i0199'"
    ):
        found.apply([members[0], rows(members[1], slice(199)), members[2]])
    with pytest.raises(SubmissionError, match="of kind 'logits'; the weights were learned from 'regression'"):
        found.apply([replace(member, kind="logits") for member in members])

"""What weights are chosen by: never an undefined score, never the samples that score the choice, and one checkpoint.

The kinds: members whose score is undefined beside members whose score is negative; the best of several ways, which
flatters; weights of one checkpoint's validation predictions for another's test predictions.
"""

from dataclasses import replace

import numpy as np
import pytest

from submit import Labels, Predictions, SubmissionError, ensemble

N, T = 60, 4
IDS = np.array([f"i{k:02d}" for k in range(N)])
TARGETS = np.array([f"n{k}" for k in range(T)])


def of(values: np.ndarray, split: str = "validation", ids: np.ndarray = IDS, **provenance) -> Predictions:
    return Predictions(ids, values, TARGETS, split=split, provenance=provenance)


@pytest.mark.parametrize("statistic", ["mean", "median"])
@pytest.mark.parametrize("way", [ensemble.greedy, ensemble.select, ensemble.best])
@pytest.mark.parametrize("constants", [1, 2])
def test_a_constant_member_is_not_chosen_over_poor_ones(way, statistic, constants):
    """Its r is undefined and shown as 0, which is more than the others' -0.9, and tells nothing of what it would be."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(N, T))
    poor = [of(-truth + 0.3 * rng.normal(size=(N, T))) for _ in range(2)]
    members = [*[of(np.full((N, T), 0.5 + k)) for k in range(constants)], *poor]
    found = way(members, of(truth, ""), statistic=statistic)
    test = [replace(member, split="test", ids=np.char.add("t", IDS)) for member in members]
    assert found.apply(test).values.std(0).min() > 1e-3
    assert found.by_target()[:, constants:].max(1).min() > 0


def test_where_no_score_is_defined_nothing_is_chosen():
    truth = np.random.default_rng(0).normal(size=(N, T))
    truth[:, 1:] = 2.0
    silent = truth.copy()
    silent[:, 0] = 1.0  # constant for the only target that varies
    for way in (ensemble.best, ensemble.greedy, ensemble.select, ensemble.stack):
        with pytest.raises(SubmissionError, match="no member has a defined score over the 60 shared samples"):
            way([of(silent), of(np.zeros((N, T)))], of(truth, ""))


def test_the_score_of_the_best_way_is_no_maximum():
    """On noise its expectation is 0: over 12 trials within three standard errors; the maximum lies above."""
    chosen, highest = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        members = [of(rng.normal(size=(N, T))) for _ in range(4)]
        found = ensemble.best(members, of(rng.normal(size=(N, T)), ""))
        chosen.append(found.score)
        highest.append(max(found.scores.values()))
        assert found.scores[found.method] == highest[-1]
        assert found.record()["compared"]["chosen"] == found.score
    error = np.std(chosen) / np.sqrt(12)
    assert abs(np.mean(chosen)) < 3 * error
    assert np.mean(highest) > max(np.mean(chosen), 0) + 2 * error


def test_of_classes_too():
    chosen, highest = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        names = np.array(list("abcd"))
        members = [Predictions(IDS, rng.normal(size=(N, 4)), names, "logits", "validation") for _ in range(4)]
        found = ensemble.best(members, Labels(IDS, rng.choice(names, N)))
        chosen.append(found.score)
        highest.append(max(found.scores.values()))
    assert abs(np.mean(chosen) - 0.25) < 3 * np.std(chosen) / np.sqrt(20)
    assert np.mean(highest) > np.mean(chosen)


def test_a_way_that_was_named_has_its_own_score():
    rng = np.random.default_rng(0)
    members = [of(rng.normal(size=(N, T))) for _ in range(3)]
    found = ensemble.greedy(members, of(rng.normal(size=(N, T)), ""))
    assert found.chosen is None
    assert found.score == found.scores["greedy"]
    assert "chosen" not in found.record()["compared"]


CHECKPOINTS = {
    "one": ({"run": "a", "step": 35, "digest": "1f"}, {"run": "a", "step": 40, "digest": "2e"}),
    "folds": (
        {
            "run": "a",
            "folds": [{"run": "a/0", "step": 5, "digest": "1f"}, {"run": "a/1", "step": 5, "digest": "3c"}],
        },
        {
            "run": "a",
            "folds": [{"run": "a/0", "step": 9, "digest": "2e"}, {"run": "a/1", "step": 5, "digest": "3c"}],
        },
    ),
}


@pytest.mark.parametrize("case", CHECKPOINTS)
def test_weights_of_one_checkpoint_are_not_for_another(case):
    known, other = CHECKPOINTS[case]
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(N, T))
    members = [
        of(truth + rng.normal(size=(N, T)), **known),
        of(truth + rng.normal(size=(N, T)), run="b", digest="ff"),
    ]
    found = ensemble.best(members, of(truth, ""))
    fresh = np.char.add("t", IDS)
    same = [of(member.values, "test", fresh, **member.provenance) for member in members]
    assert len(found.apply(same)) == N
    foreign = [of(members[0].values, "test", fresh), of(members[1].values, "test", fresh, mine=[1, {"x": 2}])]
    assert len(found.apply(foreign)) == N  # which nothing is known of
    mixed = [of(members[0].values, "test", fresh, **other), same[1]]
    with pytest.raises(
        SubmissionError, match=r"a/test\.npz: weights were learned from predictions of a by step \d+ \(1f"
    ) as caught:
        found.apply(mixed, ["a/test.npz", "b/test.npz"])
    assert "2e" in str(caught.value)
    assert "`jaxlab predict a` makes predictions/test.npz" in str(caught.value)

"""Components that subjects share, against a loop over subjects and targets in numpy."""

import numpy as np
import pytest
from readouts import built, evaluated, features_of

from jaxlab.core.config import from_json, to_json
from jaxlab.core.types import UserError
from jaxlab.heads import Factorized, LowRank, Rates, Shared

FEATURES = features_of(3)
TARGETS = ("s1/a", "s1/b", "s2/a", "s2/b", "s2/c", "s1/late", "s10/a")
SUBJECTS = ("s1", "s2", "s10")


@pytest.mark.parametrize("rank", [2, 0])
def test_a_target_reads_the_shared_components_and_those_of_its_own_subject(rank):
    head = Shared(head=Factorized(layer="first", normalize=False), components=4, rank=rank)
    module = built(head, TARGETS)
    part = module.head.layers["first"]
    x, mask, weight = (
        np.asarray(v, np.float64) for v in (FEATURES["first"], part.mask[...], part.weight[...])
    )
    shared, bias = np.asarray(module.shared[...]), np.asarray(module.bias[...])
    own = np.asarray(module.own[...]) if rank else np.zeros((0, len(TARGETS)))
    expected = np.zeros((3, len(TARGETS)))
    for row in range(3):
        components = [(x[row] * mask[k][..., None] * weight[k]).sum() for k in range(len(mask))]
        for column, target in enumerate(TARGETS):
            subject = SUBJECTS.index(target.split("/")[0])
            expected[row, column] = bias[column] + sum(components[k] * shared[k, column] for k in range(4))
            for j in range(rank):
                expected[row, column] += components[4 + subject * rank + j] * own[j, column]
    np.testing.assert_allclose(evaluated(module, FEATURES), expected, rtol=1e-4, atol=1e-4)
    assert len(mask) == 4 + 3 * rank
    assert from_json(to_json(head)) == head


def test_targets_without_a_subject_are_one_subjects_and_penalties_count():
    head = Shared(head=Factorized(layer="first", l1_mask=1.0), components=3, rank=1)
    module = built(head, ("a", "b"))
    mask = np.asarray(module.head.layers["first"].mask[...])
    assert len(mask) == 4
    assert float(module.penalty()) == pytest.approx(np.abs(mask).sum() / 4, rel=1e-5)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"components": 0}, "Shared.components: expected 1 or more, found 0"),
        ({"rank": -1}, "Shared.rank: expected 0 or more, found -1"),
        (
            {"head": Rates(head=LowRank(rank=1))},
            "Shared.head: expected a head that leaves its targets as they are",
        ),
    ],
)
def test_what_cannot_be_shared_is_refused(wrong, said):
    with pytest.raises(UserError, match=said):
        Shared(**{"head": Factorized(), **wrong})

"""Splits by id against membership computed by hand with hashlib."""

import hashlib
import re
from dataclasses import replace

import numpy as np
import pytest

from jaxlab.core.types import Samples, UserError
from jaxlab.data.split import ColumnSplit, GroupedSplit, KFold, RandomSplit, Split


def samples(ids: list[str], **columns: list[str]) -> Samples:
    return Samples(
        ids=np.array(ids),
        read=lambda _: np.zeros((1, 1, 1), np.uint8),
        checksum=lambda _: b"",
        columns={name: np.array(values) for name, values in columns.items()},
    )


def in_hash_order(names: list[str], seed: int) -> list[str]:
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())


IDS = [f"img{k:03d}" for k in range(50)]
SUBJECT = [f"s{k % 7}" for k in range(50)]


def test_random_split_takes_the_first_ids_in_hash_order() -> None:
    for seed in (0, 1, 12345):
        train, validation = RandomSplit(validation=0.2, seed=seed).split(samples(IDS))
        assert {IDS[k] for k in validation} == set(in_hash_order(IDS, seed)[:10])
        assert sorted([*train, *validation]) == list(range(50))


def test_random_split_golden_membership() -> None:
    """By `printf 0:a | sha256sum` and so on, the hashes begin 9d, e021, be, 7d, e078: d comes first, then a."""
    _, validation = RandomSplit(validation=0.4, seed=0).split(samples(list("abcde")))
    assert list(validation) == [0, 3]


@pytest.mark.parametrize(
    "split",
    [
        RandomSplit(validation=0.3, seed=4),
        KFold(folds=4, fold=2, seed=4),
        GroupedSplit(column="subject", validation=0.3),
        KFold(folds=3, fold=1, column="subject"),
    ],
)
def test_membership_does_not_depend_on_the_order_of_rows(split: Split) -> None:
    order = np.random.default_rng(0).permutation(50)
    _, plain = split.split(samples(IDS, subject=SUBJECT))
    shuffled = samples([IDS[k] for k in order], subject=[SUBJECT[k] for k in order])
    _, moved = split.split(shuffled)
    assert {IDS[k] for k in plain} == {str(shuffled.ids[k]) for k in moved}
    assert list(moved) == sorted(moved)


def test_grouped_split_keeps_groups_whole() -> None:
    train, validation = GroupedSplit(column="subject", validation=0.3, seed=1).split(
        samples(IDS, subject=SUBJECT)
    )
    chosen = set(in_hash_order(sorted(set(SUBJECT)), 1)[:2])
    assert {SUBJECT[k] for k in validation} == chosen
    assert not {SUBJECT[k] for k in train} & chosen


def test_folds_cover_every_sample_once() -> None:
    for column in (None, "subject"):
        folds = [
            KFold(folds=4, fold=k, column=column).split(samples(IDS, subject=SUBJECT))[1] for k in range(4)
        ]
        assert sorted(np.concatenate(folds)) == list(range(50))
    sizes = sorted(len(KFold(folds=4, fold=k).split(samples(IDS))[1]) for k in range(4))
    assert sizes == [12, 12, 13, 13]


def test_column_split_leaves_other_rows_out() -> None:
    data = samples(list("abcd"), tier=["val", "train", "test", "train"])
    train, validation = ColumnSplit(column="tier").split(data)
    assert (list(train), list(validation)) == ([1, 3], [0])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: RandomSplit(validation=0.001).split(samples(IDS)), ["of 50 samples", "0 for"]),
        (lambda: RandomSplit(validation=1.0), ["RandomSplit.validation", "1.0"]),
        (lambda: KFold(folds=3, fold=3), ["found 3 of 3"]),
        (lambda: GroupedSplit(column="day").split(samples(IDS, subject=SUBJECT)), ["'day'", "subject"]),
        (lambda: ColumnSplit(column="tier").split(samples(["a"], tier=["dev"])), ["0 are for", "tier: dev"]),
    ],
)
def test_what_cannot_be_split_is_explained(make, words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        make()
    assert all(word in str(error.value) for word in words), error.value


# The kind: a share, or a number of folds, that leaves one side empty. The message says what would not.
TOO_FEW = {
    "two groups": (
        GroupedSplit(column="who"),
        ["a", "b"],
        "0.1 of 2 groups in column 'who' (a, b) is 0; validation=0.5 takes 1",
    ),
    "three groups": (
        GroupedSplit(column="who", validation=0.95),
        ["a", "b", "c"],
        "0.95 of 3 groups in column 'who' (a, b, c) is 3; validation=0.67 takes 2",
    ),
    "one group": (
        GroupedSplit(column="who"),
        ["a"],
        "groups in column 'who' (a): one alone cannot be divided",
    ),
    "few samples": (RandomSplit(), ["a", "b", "c"], "0.1 of 3 samples is 0; validation=0.33 takes 1"),
    "folds of groups": (
        KFold(folds=5, fold=4, column="who"),
        ["a", "b"],
        "2 values in column 'who' are dealt to 5 folds: expected at most folds=2",
    ),
    "folds of ids": (
        KFold(folds=9, fold=8),
        ["a", "b", "c"],
        "3 ids are dealt to 9 folds: expected at most folds=3",
    ),
    "a column's own": (ColumnSplit(column="who"), ["train", "test"], "the data's columns: who: test, train"),
}


@pytest.mark.parametrize("case", TOO_FEW)
def test_an_empty_side_is_explained_with_what_would_fill_it(case: str) -> None:
    split, groups, words = TOO_FEW[case]
    with pytest.raises(UserError) as error:
        split.split(samples([f"i{k}" for k in range(len(groups))], who=groups))
    assert words in str(error.value)
    if taken := re.search(r"(validation|folds)=([0-9.]+)( takes|$|\))", words):
        field, value = taken[1], float(taken[2]) if taken[1] == "validation" else int(taken[2])
        mended = replace(split, **{field: value}, **({"fold": 0} if field == "folds" else {}))
        assert all(map(len, mended.split(samples([f"i{k}" for k in range(len(groups))], who=groups))))

"""Balanced epochs: equal counts, no repeated images where that is promised, the same from any step."""

from itertools import islice

import jax
import numpy as np
import pytest

from jaxlab.core.types import UserError
from jaxlab.data.balance import MirrorCopies, Oversample
from jaxlab.data.pipeline import Batches, epoch_length

LABEL = np.repeat(np.int32([0, 1, 3]), [10, 4, 7])  # no sample of class 2
TRUTH = {"label": LABEL}
IMAGES = np.random.default_rng(0).integers(0, 256, (21, 4, 5, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("balance", "each"), [(Oversample(), 10), (MirrorCopies(), 8), (MirrorCopies(vertical=True), 10)]
)
def test_an_epoch_shows_each_class_equally_often(balance, each: int) -> None:
    assert balance.length(LABEL) == 3 * each
    for epoch in range(5):
        shown = balance.epoch(LABEL, 1, epoch)
        assert (shown.index.dtype, shown.mirror.shape) == (np.int32, (3 * each, 2))
        assert np.bincount(LABEL[shown.index]).tolist() == [each, each, 0, each]


def test_oversampling_repeats_the_samples_of_a_class_evenly() -> None:
    shown = Oversample().epoch(LABEL, 0, 0)
    assert not shown.mirror.any()
    counts = np.bincount(shown.index, minlength=21)
    assert set(counts[:10]) == {1}
    assert sorted(counts[10:14]) == [2, 2, 3, 3]
    assert sorted(counts[14:]) == [1] * 4 + [2] * 3
    extra = {tuple(np.bincount(Oversample().epoch(LABEL, 0, e).index)[10:14]) for e in range(20)}
    assert len(extra) > 1, "another part of the samples is shown oftener in each epoch"


@pytest.mark.parametrize("balance", [MirrorCopies(), MirrorCopies(vertical=True)])
def test_mirrored_copies_fill_up_so_that_no_image_is_shown_twice(balance) -> None:
    for epoch in range(5):
        shown = balance.epoch(LABEL, 0, epoch)
        views = {(int(k), *map(bool, mirror)) for k, mirror in zip(shown.index, shown.mirror, strict=True)}
        assert len(views) == len(shown.index)
        plain = shown.index[~shown.mirror.any(1)]
        for name, least in ((0, 8), (1, 4), (3, 7)):
            assert (LABEL[plain] == name).sum() >= least, "samples as they are come first"
        assert not shown.mirror[LABEL[shown.index] == 0].any()
    assert not MirrorCopies().epoch(LABEL, 0, 0).mirror[:, 0].any()


def test_the_notes_case_four_small_classes_doubled_beside_a_large_one() -> None:
    label = np.repeat(np.arange(5, dtype=np.int32), [4000, 2000, 2000, 2000, 2000])
    shown = MirrorCopies().epoch(label, 0, 0)
    assert len(shown.index) == 20_000
    assert np.bincount(label[shown.index]).tolist() == [4000] * 5
    assert np.bincount(label[shown.index[shown.mirror[:, 1]]]).tolist() == [0] + [2000] * 4


@pytest.mark.parametrize("balance", [Oversample(), MirrorCopies()])
def test_batches_are_a_pure_function_of_seed_and_step(balance) -> None:
    made, again, other = (Batches(IMAGES, TRUTH, 7, seed, balance, LABEL) for seed in (0, 0, 1))
    assert made.steps_per_epoch == balance.length(LABEL) // 7
    for start in (0, 2, 5, 100):
        iterator = made.iterate(start)
        for step, batch in enumerate(islice(iterator, 6), start):
            for mine, its in zip(jax.tree.leaves(batch), jax.tree.leaves(again[step]), strict=True):
                np.testing.assert_array_equal(mine, its)
        iterator.close()
    assert any((made[k]["index"] != other[k]["index"]).any() for k in range(3))
    orders = {
        tuple(np.concatenate([made[e * made.steps_per_epoch + k]["index"] for k in range(3)]))
        for e in range(9)
    }
    assert len(orders) == 9


def test_a_batch_holds_the_mirrored_images() -> None:
    made, shown = Batches(IMAGES, TRUTH, 24, 0, MirrorCopies(vertical=True), LABEL), None
    shown = MirrorCopies(vertical=True).epoch(LABEL, 0, 0)
    batch = made[0]
    assert shown.mirror[:24].any(0).all()
    for image, index, (down, across) in zip(batch["image"], shown.index, shown.mirror, strict=False):
        expected = IMAGES[index][::-1] if down else IMAGES[index]
        np.testing.assert_array_equal(image, expected[:, ::-1] if across else expected)
    np.testing.assert_array_equal(batch["truth"]["label"], LABEL[shown.index[:24]])


def test_balance_needs_classes_and_an_axis() -> None:
    with pytest.raises(UserError, match=r"balance=Oversample\(\) needs classes, and these data have none"):
        epoch_length(21, None, Oversample())
    with pytest.raises(UserError, match="MirrorCopies: expected horizontal or vertical, found neither"):
        MirrorCopies(horizontal=False)
    with pytest.raises(UserError, match="batch size 25: expected between 1 and the 24 training samples"):
        Batches(IMAGES, TRUTH, 25, 0, MirrorCopies(), LABEL)

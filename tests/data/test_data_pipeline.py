"""Batches as a pure function of (seed, step)."""

from itertools import islice

import jax
import numpy as np
import pytest

from jaxlab.core.types import UserError
from jaxlab.data.images import SharedImages
from jaxlab.data.pipeline import Batches, evaluation_batches, prefetch

N = 23
IMAGES = np.arange(N, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
TARGET = np.arange(2 * N, dtype=np.float32).reshape(N, 2)
LABEL = np.arange(N, dtype=np.int32) % 3
BOTH = {"a": TARGET, "b": LABEL}


def batches(batch_size: int = 5, seed: int = 0) -> Batches:
    return Batches(IMAGES, {"a": TARGET}, batch_size, seed)


def test_every_array_is_gathered_by_the_same_index() -> None:
    made = Batches(IMAGES, BOTH, 5, 0)
    for step in range(8):
        batch = made[step]
        index = batch["index"]
        assert (index.dtype, index.shape) == (np.int32, (5,))
        assert batch["image"].dtype == np.uint8
        np.testing.assert_array_equal(batch["image"], IMAGES[index])
        np.testing.assert_array_equal(batch["truth"]["a"], TARGET[index])
        np.testing.assert_array_equal(batch["truth"]["b"], LABEL[index])
    assert set(batches()[0]) == {"image", "truth", "index"}


def test_an_epoch_shows_no_sample_twice_and_epochs_differ() -> None:
    made = batches()
    assert made.steps_per_epoch == 4
    epochs = [np.concatenate([made[4 * e + k]["index"] for k in range(4)]) for e in range(60)]
    assert all(len(set(epoch)) == 20 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 60
    shown = np.bincount(np.concatenate(epochs), minlength=N)  # 60 * 20 / 23 = 52 on average
    assert shown.min() > 40
    assert shown.max() <= 60


def test_seeds_share_no_epoch() -> None:
    def epochs(seed: int) -> set[tuple[int, ...]]:
        made = batches(N, seed)
        return {tuple(made[k]["index"]) for k in range(20)}

    assert not epochs(0) & epochs(1)
    assert epochs(0) == epochs(0)


@pytest.mark.parametrize("start", [0, 1, 4, 7, 1000])
def test_iterating_from_any_step_gives_the_batches_of_those_steps(start: int) -> None:
    made = batches()
    iterator = made.iterate(start)
    for step, batch in enumerate(islice(iterator, 9), start):
        np.testing.assert_array_equal(batch["index"], made[step]["index"])
        np.testing.assert_array_equal(batch["image"], made[step]["image"])
    iterator.close()


@pytest.mark.parametrize("batch_size", [0, 24])
def test_a_batch_needs_enough_samples(batch_size: int) -> None:
    with pytest.raises(UserError, match=rf"batch size {batch_size}: .* 23 training samples"):
        batches(batch_size)


@pytest.mark.parametrize("batch_size", [1, 5, 23, 64])
def test_evaluation_shows_every_sample_once_in_order(batch_size: int) -> None:
    made = list(evaluation_batches(IMAGES, {"a": TARGET}, batch_size))
    assert all(len(batch["image"]) == len(batch["mask"]) == batch_size for batch in made)
    shown = np.concatenate([batch["index"][batch["mask"]] for batch in made])
    np.testing.assert_array_equal(shown, np.arange(N))
    values = np.concatenate([batch["truth"]["a"][batch["mask"]] for batch in made])
    np.testing.assert_array_equal(values, TARGET)
    assert next(evaluation_batches(IMAGES, {}, 5))["truth"] == {}


def test_shared_images_make_the_same_batches() -> None:
    rows = np.arange(N) // 4
    shared, plain = SharedImages(IMAGES[::4], rows), IMAGES[::4][rows]
    one, other = (Batches(images, BOTH, 5, 3) for images in (shared, plain))
    for step in range(6):
        assert one[step].keys() == other[step].keys()
        for mine, its in zip(jax.tree.leaves(one[step]), jax.tree.leaves(other[step]), strict=True):
            np.testing.assert_array_equal(mine, its)
    pairs = zip(*(evaluation_batches(images, {"b": LABEL}, 5) for images in (shared, plain)), strict=True)
    for first, second in pairs:
        np.testing.assert_array_equal(first["image"], second["image"])


def test_prefetch_puts_ahead_and_keeps_the_order() -> None:
    put: list[int] = []

    def source():
        yield from range(6)

    def sent(item: int) -> int:
        put.append(item)
        return 10 * item

    iterator = prefetch(source(), sent, depth=2)
    assert next(iterator) == 0
    assert put == [0, 1, 2]
    assert list(iterator) == [10, 20, 30, 40, 50]
    assert list(prefetch(iter([]), sent)) == []


GROUP = np.repeat([0, 1, 2], [13, 5, 9])


def test_a_batch_is_of_one_group_and_an_epoch_of_all():
    images = np.arange(27, dtype=np.uint8).reshape(27, 1, 1, 1)
    made, again, other = (Batches(images, {}, 4, seed, batch_of=GROUP) for seed in (0, 0, 1))
    assert made.steps_per_epoch == 13 // 4 + 5 // 4 + 9 // 4
    epochs = [[made[e * 6 + k]["index"] for k in range(6)] for e in range(3)]
    for epoch in epochs:
        assert all(len(set(GROUP[index].tolist())) == 1 for index in epoch)
        rows = np.concatenate(epoch)
        assert len(set(rows.tolist())) == 24  # none twice
        assert np.bincount(GROUP[rows]).tolist() == [12, 4, 8]
    assert not np.array_equal(epochs[0], epochs[1])
    assert not np.array_equal(made[0]["index"], other[0]["index"])
    for step, batch in zip(range(4, 9), again.iterate(4), strict=False):
        np.testing.assert_array_equal(batch["index"], made[step]["index"])
        np.testing.assert_array_equal(batch["image"][:, 0, 0, 0], batch["index"])
    with pytest.raises(UserError, match=r'(?s)batch size 6.*each subject.*data.batches="one".*found 5'):
        Batches(images, {}, 6, 0, batch_of=GROUP)

"""What tasks show and ask for, by numpy; and the loss of pairs by the paper's formula."""

import itertools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlab.core.types import UserError
from jaxlab.losses import NTXent
from jaxlab.losses.base import About
from jaxlab.metrics.reduce import gathered
from jaxlab.pretext import (
    Contrast,
    Jigsaw,
    Masked,
    Pretext,
    Reconstruction,
    Rotation,
    check_posed,
    evaluation_keys,
)
from jaxlab.pretext.jigsaw import orders

IMAGES = np.random.default_rng(0).normal(0.3, 1.5, (16, 12, 12, 3)).astype(np.float32)


def posed(task, images=IMAGES):
    keys = evaluation_keys(jnp.arange(len(images)))
    found = jax.jit(lambda images: task.posed(lambda images, keys: images, images, None, keys))(images)
    return np.asarray(found.images), None if found.truth is None else np.asarray(found.truth)


def test_a_rotation_is_numpys():
    seen, turns = posed(Rotation())
    for image, before, turn in zip(seen, IMAGES, turns, strict=True):
        np.testing.assert_array_equal(image, np.rot90(before, int(turn)))
    assert set(turns.tolist()) == {0, 1, 2, 3}
    assert Rotation().targets((12, 12, 3)) == ("0", "90", "180", "270")


@pytest.mark.parametrize("grid", [2, 3])
def test_tiles_lie_as_the_permutation_says_each_normalised(grid):
    task = Jigsaw(grid=grid, permutations=6, gap=0.0)
    side = 12 // grid
    seen, which = posed(task)
    names = task.targets((12, 12, 3))
    for image, before, label in zip(seen, IMAGES, which, strict=True):
        for place, tile in enumerate(map(int, names[label])):
            (row, column), (y, x) = (divmod(number, grid) for number in (place, tile))
            cut = before[y * side : (y + 1) * side, x * side : (x + 1) * side]
            expected = (cut - cut.mean()) / cut.std()
            found = image[row * side : (row + 1) * side, column * side : (column + 1) * side]
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_gaps_are_empty_and_no_two_tiles_meet():
    seen, _ = posed(Jigsaw(grid=2, permutations=2, gap=0.34))  # 4 of 6 pixels
    columns = np.abs(seen).sum((0, 1, 3))
    np.testing.assert_array_equal(columns > 0, [0, 1, 1, 1, 1, 0] * 2)


def test_permutations_are_far_from_one_another():
    """Of 9 tiles the first ones differ in every place; of 4 the set is as far apart as the best of all subsets."""
    first = orders(9, 5)
    assert min((a != b).sum() for a, b in itertools.combinations(first, 2)) == 9
    every = np.array(list(itertools.permutations(range(4))))
    best = max(
        min((every[a] != every[b]).sum() for a, b in itertools.combinations((0, *rest), 2))
        for rest in itertools.combinations(range(1, 24), 3)
    )
    assert min((a != b).sum() for a, b in itertools.combinations(orders(4, 4), 2)) == best
    assert len(np.unique(orders(4, 24), axis=0)) == 24


def test_covered_patches_are_asked_for_normalised_as_mae_has_it(nans_allowed):
    task = Masked(patch=4, ratio=0.6)
    seen, truth = posed(task)
    truth = truth.reshape(IMAGES.shape)
    tiles = IMAGES.reshape(16, 3, 4, 3, 4, 3).transpose(0, 1, 3, 2, 4, 5).reshape(16, 3, 3, -1)
    mean, variance = tiles.mean(-1, keepdims=True), tiles.var(-1, ddof=1, keepdims=True)
    expected = ((tiles - mean) / np.sqrt(variance + 1e-6)).reshape(16, 3, 3, 4, 4, 3)
    expected = expected.transpose(0, 1, 3, 2, 4, 5).reshape(IMAGES.shape)
    covered = ~np.isnan(truth)
    blocks = covered.reshape(16, 3, 4, 3, 4, 3)
    assert (blocks == blocks[:, :, :1, :, :1, :1]).all(), "whole patches, of all colours"
    assert (covered.sum((1, 2, 3)) == 5 * 16 * 3).all(), "round(0.6 * 9) of them"
    assert len({row.tobytes() for row in covered}) > 8
    np.testing.assert_allclose(truth[covered], expected[covered], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(seen, np.where(covered, 0, IMAGES))
    keys = evaluation_keys(jnp.arange(16))
    whole = jax.vmap(task.restored)(jnp.nan_to_num(truth.reshape(16, -1)), IMAGES, keys)
    np.testing.assert_allclose(whole, IMAGES, atol=1e-4)


def test_a_reconstruction_is_asked_for_at_its_scale():
    seen, truth = posed(Reconstruction(scale=3))
    np.testing.assert_array_equal(seen, IMAGES)
    expected = IMAGES.reshape(16, 4, 3, 4, 3, 3).mean((2, 4)).reshape(16, -1)
    np.testing.assert_allclose(truth, expected, atol=1e-5)
    noisy, _ = posed(Reconstruction(noise=0.5))
    np.testing.assert_allclose([(noisy - IMAGES).mean(), (noisy - IMAGES).std()], [0, 0.5], atol=0.02)
    assert Reconstruction(scale=6).targets((12, 12, 2))[-1] == "y1x1c1"


def test_draws_follow_the_sample_alone():
    keys = evaluation_keys(jnp.array([5, 3]))
    others = evaluation_keys(jnp.arange(7))
    assert (jax.random.key_data(keys) == jax.random.key_data(others[jnp.array([5, 3])])).all()


@dataclass(frozen=True, kw_only=True)
class _Own(Pretext):
    kind = "classification"
    size: int = 12

    def targets(self, shape):
        return ("a", "b")

    def __call__(self, image, key):
        return image[: self.size], jnp.float32(0)


class _Means(_Own):
    kind = "regression"


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (_Own(size=6), r"_Own: expected it to show .* of \(12, 12, 3\), .* found \(6, 12, 3\)"),
        (_Own(), r"_Own: expected the number of a class, .* found \(\) float32"),
        (_Means(), r"_Means: expected 2 numbers \(2,\), of its targets, .* found \(\) float32"),
    ],
)
def test_a_task_of_ones_own_that_is_not_as_it_says_is_refused(task, message):
    with pytest.raises(UserError, match=message):
        check_posed(task, (12, 12, 3))


@pytest.mark.parametrize("task", [Rotation(), Jigsaw(grid=2, permutations=4), Masked(patch=4), Contrast()])
def test_tasks_are_as_they_say(task):
    check_posed(task, (12, 12, 3))


def ntxent(first, second, temperature):
    """Chen et al. 2020, equation 1, summed as in their algorithm 1: the mean over both views of each row."""
    z = np.concatenate([first, second]).astype(np.float64)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    similar, count = z @ z.T / temperature, len(first)
    rows, hits = np.zeros(2 * count), np.zeros(2 * count)
    for i in range(2 * count):
        partner, rest = (i + count) % (2 * count), [k for k in range(2 * count) if k != i]
        rows[i] = -np.log(np.exp(similar[i, partner]) / np.exp(similar[i, rest]).sum())
        hits[i] = rest[similar[i, rest].argmax()] == partner
    return (rows[:count] + rows[count:]) / 2, (hits[:count] + hits[count:]) / 2


def test_the_loss_of_pairs_is_the_papers_on_any_number_of_devices():
    rng = np.random.default_rng(1)
    first = rng.normal(size=(8, 5)).astype(np.float32)
    second = (first + rng.normal(size=first.shape)).astype(np.float32)
    loss = NTXent(temperature=0.5)
    mask = np.arange(8) < 7  # the last row only fills the batch up
    expected, hits = ntxent(first[:7], second[:7], 0.5)
    alone = About(lambda rows: rows.sum(0), mask=jnp.asarray(mask))
    rows, terms = loss.told(jnp.asarray(first), jnp.asarray(second), alone)
    np.testing.assert_allclose(rows[:7], expected, rtol=1e-5)
    np.testing.assert_array_equal(terms["top_1"][:7], hits)
    assert 0 < hits.mean() < 1

    def on_a_device(first, second, mask):
        gather = lambda values: gathered(values, "batch")  # noqa: E731
        about = About(
            lambda rows: rows.sum(0), gather=gather, first=jax.lax.axis_index("batch") * 2, mask=mask
        )
        return loss.told(first, second, about)[0]

    apart = jax.pmap(on_a_device, "batch")(*(x.reshape(4, 2, *x.shape[1:]) for x in (first, second, mask)))
    np.testing.assert_allclose(np.asarray(apart).reshape(-1)[:7], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("task", "shape", "message"),
    [
        (Rotation(), (12, 16, 3), r"expected square images.* 12 x 16 pixels; set images.size=12,12"),
        (
            Jigsaw(),
            (13, 12, 3),
            r"3 x 3 tiles of 4 pixels or more, .* need images of 15 x 15, found 13 x 12",
        ),
        (
            Masked(patch=8),
            (12, 12, 3),
            r"Masked.patch: 8 does not divide images of 12 x 12 .*one of 2, 3, 4, 6, 12",
        ),
        (Masked(patch=12), (12, 12, 3), r"0.6 of 1 patches covers all or none"),
        (Reconstruction(scale=5), (12, 12, 3), r"Reconstruction.scale: 5 does not divide"),
    ],
)
def test_images_that_will_not_do_are_refused(task, shape, message):
    with pytest.raises(UserError, match=message):
        task.targets(shape)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Jigsaw(grid=4), "expected 2 or 3 tiles along a side, found 4"),
        (lambda: Jigsaw(grid=2, permutations=25), "expected 2 to 24 of 2 x 2 tiles, found 25"),
        (lambda: Masked(ratio=1.0), "expected a share between 0 and 1, found 1.0"),
        (lambda: Contrast(dimensions=1), "expected 2 or more, found 1"),
        (lambda: NTXent(temperature=0.0), "expected more than 0, found 0.0"),
        (lambda: Reconstruction(noise=-1.0), "expected 0 or more, found -1.0"),
    ],
)
def test_fields_that_cannot_be_are_refused(make, message):
    with pytest.raises(UserError, match=message):
        make()

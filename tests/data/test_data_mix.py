"""Mixup and CutMix: shares, partners and losses by hand; the beta distribution by scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from jaxlab.core.types import UserError
from jaxlab.data.device.mix import CutMix, Mixup, partners
from jaxlab.losses import CrossEntropy, Mse

KEYS = jax.random.split(jax.random.key(0), 400)
RNG = np.random.default_rng(0)


def test_neighbours_are_partners() -> None:
    np.testing.assert_array_equal(partners(jnp.arange(6)), [1, 0, 3, 2, 5, 4])
    np.testing.assert_array_equal(partners(jnp.arange(8).reshape(4, 2)), [[2, 3], [0, 1], [6, 7], [4, 5]])


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_mixup_keeps_the_larger_share_of_a_beta_distribution(alpha: float) -> None:
    share = np.asarray(Mixup(alpha=alpha).patterns(KEYS, 5, 6))
    assert share.shape == (400, 1, 1)
    assert share.min() >= 0.5
    folded = stats.kstest(share.ravel(), lambda x: 2 * stats.beta(alpha, alpha).cdf(x) - 1)
    assert folded.pvalue > 0.01


def test_cutmix_cuts_one_rectangle_of_the_partners_share() -> None:
    height, width = 20, 30
    own = np.asarray(CutMix().patterns(KEYS, height, width))
    assert set(np.unique(own)) == {0.0, 1.0}
    whole = []
    for pattern in own:
        rows, columns = np.flatnonzero((pattern == 0).any(1)), np.flatnonzero((pattern == 0).any(0))
        assert (pattern == 0).sum() == len(rows) * len(columns)
        if len(rows) and rows[0] > 0 and rows[-1] < height - 1 and columns[0] > 0 and columns[-1] < width - 1:
            whole.append((len(rows) / height, len(columns) / width))
    down, across = np.array(whole).T
    np.testing.assert_allclose(down, across, atol=1 / height + 1 / width)
    assert own.mean((1, 2)).min() >= 0.5 - 1 / height, "up to a pixel along each side"
    assert ((own == 0).mean(0) > 0.02).all(), "every place is cut from some image"


def test_images_are_mixed_with_their_partners_by_their_own_shares() -> None:
    images = RNG.random((4, 3, 5, 2)).astype(np.float32)
    for mix in (Mixup(alpha=1.0), CutMix()):
        own = np.asarray(mix.patterns(KEYS[:4], 3, 5))
        other = images[[1, 0, 3, 2]]
        expected = own[..., None] * images + (1 - own[..., None]) * other
        np.testing.assert_allclose(mix.images(images, KEYS[:4]), expected, rtol=1e-6)


@pytest.mark.slow
def test_a_row_and_its_partner_draw_from_their_own_keys_however_the_batch_is_split() -> None:
    images = RNG.random((8, 3, 5, 2)).astype(np.float32)
    for mix in (Mixup(), CutMix()):
        whole = mix.images(images, KEYS[:8])
        parts = [mix.images(images[k : k + 2], KEYS[k : k + 2]) for k in range(0, 8, 2)]
        np.testing.assert_allclose(whole, np.concatenate(parts), rtol=1e-6)


def test_cross_entropy_is_that_of_mixed_labels() -> None:
    logits, label, mix = RNG.normal(size=(4, 3)).astype(np.float32), jnp.array([0, 2, 1, 1]), Mixup(alpha=1.0)
    loss = CrossEntropy(label_smoothing=0.1)
    share = np.asarray(mix.patterns(KEYS[:4], 1, 1))[:, 0]
    hot = np.eye(3, dtype=np.float32)[np.asarray(label)]
    mixed = share * hot + (1 - share) * hot[[1, 0, 3, 2]]
    expected = optax.softmax_cross_entropy(logits, 0.9 * mixed + 0.1 / 3)
    found = mix.losses(loss(logits, label), loss(logits, partners(label)), KEYS[:4], 1, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_squared_error_has_the_gradient_of_mixed_targets() -> None:
    outputs, target = (jnp.asarray(RNG.normal(size=(4, 3)), jnp.float32) for _ in range(2))
    mix, loss = Mixup(alpha=1.0), Mse()
    share = mix.patterns(KEYS[:4], 1, 1)[:, 0]

    def found(outputs):
        return mix.losses(loss(outputs, target), loss(outputs, partners(target)), KEYS[:4], 1, 1).sum()

    mixed = share * target + (1 - share) * target[jnp.array([1, 0, 3, 2])]
    np.testing.assert_allclose(jax.grad(found)(outputs), 2 / 3 * (outputs - mixed), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", [Mixup, CutMix])
def test_alpha_is_above_0(kind) -> None:
    with pytest.raises(UserError, match=rf"{kind.__name__}\.alpha: expected above 0, found 0"):
        kind(alpha=0.0)

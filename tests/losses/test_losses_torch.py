"""Values and gradients of every loss against PyTorch (tools/golden_losses.py), in one compiled function."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlab.losses import (
    About,
    CrossEntropy,
    Focal,
    LogitAdjusted,
    Loss,
    Mse,
    NegativePearson,
    Poisson,
    Ramp,
    SmoothL1,
    Spread,
    WeightedSum,
)
from jaxlab.metrics.reduce import total

GOLDEN = dict(np.load(Path(__file__).parents[1] / "reference/goldens/losses.npz"))
SHARES = np.array([0.6, 0.25, 0.1, 0.05], np.float32)  # as the goldens have them
PLAIN, KNOWN = ("y", None), ("y", "known")
CASES: dict[str, tuple[Loss, str, tuple[str, str | None]]] = {
    "mse": (Mse(), "x", PLAIN),
    "smooth_l1": (SmoothL1(), "x", PLAIN),
    "smooth_l1_small": (SmoothL1(beta=0.3), "x", PLAIN),
    "l1": (SmoothL1(beta=0.0), "x", PLAIN),
    "poisson": (Poisson(), "rates", ("counts", None)),
    "pearson": (NegativePearson(eps=1e-12), "x", PLAIN),
    "spread": (Spread(eps=1e-12), "x", PLAIN),
    "mse_known": (Mse(), "x", KNOWN),
    "smooth_l1_known": (SmoothL1(), "x", KNOWN),
    "pearson_known": (NegativePearson(eps=1e-12), "x", KNOWN),
    "cross_entropy": (CrossEntropy(), "x", ("label", None)),
    "smoothed": (CrossEntropy(label_smoothing=0.1), "x", ("label", None)),
    "of_probabilities": (CrossEntropy(), "x", ("soft", None)),
    "weighted_half": (CrossEntropy(class_weight_strength=0.5), "x", ("label", None)),
    "weighted_fully": (CrossEntropy(class_weight_strength=1.0), "x", ("label", None)),
    "focal": (Focal(), "x", ("label", None)),
    "focal_smoothed": (Focal(gamma=0.5, label_smoothing=0.1), "x", ("label", None)),
    "logit_adjusted": (LogitAdjusted(tau=0.7), "x", ("label", None)),
}
SUMS = {  # (weight at epoch 3, case)
    WeightedSum(losses=(Mse(), Spread(eps=1e-12)), weights=(1.0, Ramp(start=1.0, end=0.2, epochs=10))): (
        (1.0, "mse"),
        (1.0 - 0.8 * 3 / 10, "spread"),
    ),
    WeightedSum(losses=(SmoothL1(), NegativePearson(eps=1e-12))): ((1.0, "smooth_l1"), (1.0, "pearson")),
    WeightedSum(losses=(CrossEntropy(), Focal()), weights=(0.3, 2.0)): (
        (0.3, "cross_entropy"),
        (2.0, "focal"),
    ),
}


def mean_loss(loss, outputs, truth, known):
    about = About(lambda values: values.sum(0), jnp.float32(3), jnp.asarray(SHARES), known)
    return loss.rows(outputs, truth, about).mean()


@pytest.fixture(scope="module")
def found():
    """{case or sum: (value, gradient)}."""
    cases = CASES | {str(loss): (loss, "x", CASES[parts[0][1]][2]) for loss, parts in SUMS.items()}

    def all_of_them(given):
        return {
            name: jax.value_and_grad(partial(mean_loss, loss))(
                given[outputs], given[truth], None if known is None else given[known]
            )
            for name, (loss, outputs, (truth, known)) in cases.items()
        }

    return jax.device_get(
        jax.jit(all_of_them)({name: jnp.asarray(values) for name, values in GOLDEN.items()})
    )


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_are_torchs(found, name):
    value, slope = found[name]
    np.testing.assert_allclose(value, GOLDEN[name], rtol=2e-5)
    np.testing.assert_allclose(slope, GOLDEN[f"{name}_slope"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", SUMS)
def test_a_weighted_sum_is_that_of_torchs(found, loss):
    value, slope = found[str(loss)]
    expected = sum(weight * GOLDEN[name] for weight, name in SUMS[loss])
    np.testing.assert_allclose(value, expected, rtol=2e-5)
    expected = sum(weight * GOLDEN[f"{name}_slope"] for weight, name in SUMS[loss])
    np.testing.assert_allclose(slope, expected, rtol=1e-4, atol=1e-6)


def test_weights_of_classes_have_the_mean_one_over_the_training_samples():
    label = np.repeat(np.arange(4), [12, 5, 2, 1])

    def rows(strength):
        about = About(None, 0.0, jnp.asarray(SHARES))
        return CrossEntropy(class_weight_strength=strength).rows(
            jnp.zeros((20, 4)), jnp.asarray(label), about
        )

    for strength, found in jax.jit(lambda: {0.3: rows(0.3), 1.0: rows(1.0)})().items():
        np.testing.assert_allclose(np.mean(found), np.log(4), rtol=1e-5)
        np.testing.assert_allclose(found[19] / found[0], (0.6 / 0.05) ** strength, rtol=1e-5)


def test_a_prediction_without_spread_and_a_sure_one_have_finite_slopes():
    x, y, label = jnp.zeros((4, 3)), jnp.asarray(GOLDEN["y"][:4, :3]), jnp.array([0, 1, 2, 0])
    sure = 200.0 * jnp.eye(3)[label]
    losses = (NegativePearson(), x, y), (Spread(), x, y), (Focal(gamma=0.5), sure, label)

    def slope(loss, outputs, truth):
        return jax.value_and_grad(lambda z: mean_loss(loss, z, truth, None))(outputs)

    *slopes, one = jax.jit(
        lambda: [*(slope(*case) for case in losses), slope(NegativePearson(), x[:1], y[:1])]
    )()
    assert all(np.isfinite(found).all() for _, found in slopes)
    assert float(one[0]) == 0, "a batch of one sample has no correlation"


SPLIT = (Mse(), NegativePearson(), Spread(), WeightedSum(losses=(SmoothL1(), NegativePearson(), Spread())))


def test_losses_of_the_batch_have_the_same_gradient_however_many_devices_share_it():
    """Two of eight rows only fill the batch up, in evaluation's way; and some targets are missing."""
    given = {name: jnp.asarray(GOLDEN[name][:8]) for name in ("x", "y", "known")}
    given["mask"] = jnp.arange(8) < 6

    def on_a_device(loss, missing, part):
        axis = "batch"
        sum_over = partial(total, mask=part["mask"], axis_name=axis)
        about = About(sum_over, known=part["known"] if missing else None)

        def of(outputs):
            return sum_over(loss.rows(outputs, part["y"], about)) / sum_over(jnp.ones(len(outputs)))

        rows, back = jax.vjp(lambda z: loss.rows(z, part["y"], about) * part["mask"] / 6, part["x"])
        return of(part["x"]), back(jnp.ones_like(rows))[0]

    def shared_by(devices):
        parts = jax.tree.map(lambda leaf: leaf.reshape(devices, -1, *leaf.shape[1:]), given)
        mapped = {
            (number, missing): jax.vmap(partial(on_a_device, loss, missing), axis_name="batch")(parts)
            for number, loss in enumerate(SPLIT)
            for missing in (False, True)
        }
        return {key: (value[0], slope.reshape(8, -1)) for key, (value, slope) in mapped.items()}

    one, *several = jax.device_get(jax.jit(lambda: [shared_by(devices) for devices in (1, 2, 4)])())
    for other in several:
        for key, (value, slope) in one.items():
            np.testing.assert_allclose(other[key][0], value, rtol=1e-5)
            np.testing.assert_allclose(other[key][1], slope, rtol=1e-4, atol=1e-6)
            assert np.abs(slope[:6]).max() > 1e-3, "a slope of nothing would agree too"
            assert (slope[6:] == 0).all()

"""Updates against torch's documented formulas, written out in numpy."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxlab.core import tree
from jaxlab.core.types import UserError
from jaxlab.experiment import Experiment
from jaxlab.heads import ROI, Gaussian, Linear, PerROI, build_network
from jaxlab.models import DeiT, ResNet, ViT
from jaxlab.optim import SGD, Adam, AdamW, Groups, Lion, RMSprop, undecayed
from jaxlab.optim.optimizers import decayed

RATES = [0.1, 0.05, 0.2, 0.01]


def short(value):
    """A test's name: the component's; a function would bring its address in."""
    return None if callable(value) else type(value).__name__


KERNELS = ("kernel",)


@pytest.fixture
def problem():
    """Start and four gradients of a kernel, a bias and a norm's scale, in float64."""
    rng = np.random.default_rng(0)
    shapes = {"bias": (3,), "kernel": (4, 3), "scale": (3,)}
    draw = lambda: {name: rng.normal(size=shape) for name, shape in shapes.items()}  # noqa: E731
    return draw(), [draw() for _ in RATES]


def updated(optimizer, start, gradients, groups=None, spared=()):
    params = {name: jnp.asarray(p, jnp.float32) for name, p in start.items()}
    groups = Groups(optimizer, groups or (dict.fromkeys(start, 1.0),), spared)
    state = groups.init(params)
    for rate, gradient in zip(RATES, gradients, strict=True):
        gradient = {name: jnp.asarray(g, jnp.float32) for name, g in gradient.items()}
        params, state = groups.update(gradient, state, params, jnp.asarray(rate))
    return params


def torch_sgd(start, gradients, momentum=0.0, nesterov=False, l2=0.0, decoupled=0.0):
    """torch.optim.SGD, without dampening; `decoupled` as Loshchilov & Hutter 2019, algorithm 1."""
    p, buffer = dict(start), {}
    for rate, gradient in zip(RATES, gradients, strict=True):
        for name, g in gradient.items():
            shrink = decoupled if name in KERNELS else 0.0
            g = g + (l2 if name in KERNELS else 0.0) * p[name]
            if momentum:
                buffer[name] = g if name not in buffer else momentum * buffer[name] + g
                g = g + momentum * buffer[name] if nesterov else buffer[name]
            p[name] = p[name] - rate * (g + shrink * p[name])
    return p


def torch_adam(start, gradients, b1=0.9, b2=0.999, eps=1e-8, l2=0.0, decoupled=0.0):
    """torch.optim.Adam (weight_decay = l2) and AdamW (weight_decay = decoupled)."""
    p = dict(start)
    m = {name: np.zeros_like(x) for name, x in p.items()}
    v = {name: np.zeros_like(x) for name, x in p.items()}
    for t, (rate, gradient) in enumerate(zip(RATES, gradients, strict=True), 1):
        for name, g in gradient.items():
            if name in KERNELS:
                p[name] = p[name] * (1 - rate * decoupled)
                g = g + l2 * p[name]
            m[name] = b1 * m[name] + (1 - b1) * g
            v[name] = b2 * v[name] + (1 - b2) * g * g
            denominator = np.sqrt(v[name]) / np.sqrt(1 - b2**t) + eps
            p[name] = p[name] - rate / (1 - b1**t) * m[name] / denominator
    return p


def torch_rmsprop(start, gradients, decay=0.99, eps=1e-8, momentum=0.0, l2=0.0, decoupled=0.0):
    """torch.optim.RMSprop (alpha = decay, weight_decay = l2), not centred."""
    p = dict(start)
    v, buffer = ({name: np.zeros_like(x) for name, x in p.items()} for _ in range(2))
    for rate, gradient in zip(RATES, gradients, strict=True):
        for name, g in gradient.items():
            shrink = decoupled if name in KERNELS else 0.0
            g = g + (l2 if name in KERNELS else 0.0) * p[name]
            v[name] = decay * v[name] + (1 - decay) * g * g
            buffer[name] = momentum * buffer[name] + g / (np.sqrt(v[name]) + eps)
            p[name] = p[name] - rate * (buffer[name] + shrink * p[name])
    return p


def lion(start, gradients, b1=0.9, b2=0.99, l2=0.0, decoupled=0.0):
    """Chen et al. 2023, algorithm 2."""
    p, m = dict(start), {name: np.zeros_like(x) for name, x in start.items()}
    for rate, gradient in zip(RATES, gradients, strict=True):
        for name, g in gradient.items():
            shrink = decoupled if name in KERNELS else 0.0
            g = g + (l2 if name in KERNELS else 0.0) * p[name]
            p[name] = p[name] - rate * (np.sign(b1 * m[name] + (1 - b1) * g) + shrink * p[name])
            m[name] = b2 * m[name] + (1 - b2) * g
    return p


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (SGD(momentum=0.0), lambda *a: torch_sgd(*a)),
        (SGD(), lambda *a: torch_sgd(*a, momentum=0.9)),
        (SGD(momentum=0.8, nesterov=True), lambda *a: torch_sgd(*a, momentum=0.8, nesterov=True)),
        (SGD(l2=0.3), lambda *a: torch_sgd(*a, momentum=0.9, l2=0.3)),
        (SGD(weight_decay=0.3), lambda *a: torch_sgd(*a, momentum=0.9, decoupled=0.3)),
        (Adam(), lambda *a: torch_adam(*a)),
        (Adam(b1=0.8, b2=0.9, eps=1e-2, l2=0.3), lambda *a: torch_adam(*a, 0.8, 0.9, 1e-2, l2=0.3)),
        (AdamW(), lambda *a: torch_adam(*a, decoupled=0.01)),
        (AdamW(weight_decay=0.5), lambda *a: torch_adam(*a, decoupled=0.5)),
        (RMSprop(), lambda *a: torch_rmsprop(*a)),
        (
            RMSprop(decay=0.8, eps=1e-2, momentum=0.9, l2=0.3),
            lambda *a: torch_rmsprop(*a, 0.8, 1e-2, 0.9, l2=0.3),
        ),
        (RMSprop(momentum=0.5, weight_decay=0.3), lambda *a: torch_rmsprop(*a, momentum=0.5, decoupled=0.3)),
        (Lion(), lambda *a: lion(*a, decoupled=0.1)),
        (Lion(b1=0.5, b2=0.8, weight_decay=0.0, l2=0.3), lambda *a: lion(*a, 0.5, 0.8, l2=0.3)),
    ],
    ids=short,
)
def test_updates_are_torchs_with_kernels_alone_decayed(optimizer, expected, problem):
    got, want = updated(optimizer, *problem), expected(*problem)
    for name in want:
        np.testing.assert_allclose(got[name], want[name], rtol=2e-5, atol=2e-6, err_msg=name)


def by_norm(gradient, bound):
    norm = np.sqrt(sum((g**2).sum() for g in gradient.values()))
    return {name: g * min(1.0, bound / norm) for name, g in gradient.items()}


def by_value(gradient, bound):
    return {name: np.clip(g, -bound, bound) for name, g in gradient.items()}


@pytest.mark.parametrize(
    ("optimizer", "clip"),
    [
        (SGD(momentum=0.0, clip_norm=0.5), lambda g: by_norm(g, 0.5)),
        (SGD(momentum=0.0, clip_norm=50.0), lambda g: g),
        (SGD(momentum=0.0, clip_value=0.3), lambda g: by_value(g, 0.3)),
        (SGD(momentum=0.0, clip_value=0.3, clip_norm=0.5), lambda g: by_norm(by_value(g, 0.3), 0.5)),
    ],
    ids=["norm", "norm not reached", "value", "value, then norm"],
)
def test_clipping(optimizer, clip, problem):
    start, gradients = problem
    got, want = updated(optimizer, start, gradients), torch_sgd(start, [clip(g) for g in gradients])
    for name in want:
        np.testing.assert_allclose(got[name], want[name], rtol=2e-5, atol=2e-6, err_msg=name)


def test_clipping_comes_before_l2(problem):
    start, gradients = problem
    got = updated(SGD(momentum=0.0, clip_norm=0.5, l2=0.3), start, gradients)
    want = torch_sgd(start, [by_norm(g, 0.5) for g in gradients], l2=0.3)
    np.testing.assert_allclose(got["kernel"], want["kernel"], rtol=2e-5)


def test_kernels_alone_are_decayed():
    shapes = {"conv.kernel": (3, 3, 4, 8), "linear.kernel": (8, 2), "norm.scale": (8,), "linear.bias": (2,)}
    mask = decayed({name: jnp.zeros(shape) for name, shape in shapes.items()}, ())
    assert {name for name, on in mask.items() if on} == {"conv.kernel", "linear.kernel"}


@pytest.mark.parametrize("covariance", ["full", "isotropic"])
def test_positions_and_tokens_are_not_decayed(covariance):
    """Of a transformer kernels alone are, as with timm's `no_weight_decay`; of a Gaussian readout its weights."""
    model, head = DeiT(size="tiny", distilled=True), Gaussian(layer="map", covariance=covariance)
    network = nnx.eval_shape(lambda: build_network(model, head, (32, 32, 3), ("a", "b"), nnx.Rngs(0)))
    mask = decayed(tree.flatten(nnx.state(network, nnx.Param)), undecayed(Experiment(model=model, head=head)))
    several = {"mu", "sigma", "pos_embed", "cls_token", "dist_token", "scale", "bias"}
    assert {path.rpartition(".")[2] for path, on in mask.items() if not on} == several
    assert {path.rpartition(".")[2] for path, on in mask.items() if on} == {"kernel", "weight"}


def test_each_part_of_an_experiment_says_what_of_it_is_not_decayed():
    regions = (ROI(name="a", targets="a", head=Linear()), ROI(name="b", targets="b", head=Gaussian()))
    assert undecayed(Experiment(model=ResNet(), head=PerROI(parts=regions))) == {"mu", "sigma"}
    assert undecayed(ViT()) == {"cls_token", "dist_token", "pos_embed"}
    assert undecayed(Experiment(model=ResNet(), head=Linear())) == set()


def test_what_is_spared_is_not_decayed(problem):
    """As if there were no decay, while the others are."""
    start, gradients = problem
    spared = updated(AdamW(weight_decay=0.5), start, gradients, spared=("kernel",))
    np.testing.assert_array_equal(
        spared["kernel"], updated(AdamW(weight_decay=0.0), start, gradients)["kernel"]
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SGD(lr=0.0), "SGD.lr: expected more than 0, found 0.0"),
        (lambda: Adam(l2=-0.1), "Adam.l2: expected 0 or more, found -0.1"),
        (lambda: AdamW(weight_decay=-1.0), "AdamW.weight_decay: expected 0 or more"),
        (lambda: SGD(clip_norm=0.0), "SGD.clip_norm: expected more than 0"),
        (lambda: SGD(clip_value=-1.0), "SGD.clip_value: expected more than 0"),
        (lambda: RMSprop(decay=1.0), "RMSprop.decay: expected a share in [0, 1), found 1.0"),
        (lambda: RMSprop(momentum=-0.1), "RMSprop.momentum: expected a share in [0, 1), found -0.1"),
        (lambda: Lion(b2=1.5), "Lion.b2: expected a share in [0, 1), found 1.5"),
        (lambda: SGD(lr="fast"), "SGD.lr: expected float, found 'fast'"),
    ],
)
def test_settings_out_of_range_are_named(make, words):
    with pytest.raises(UserError) as refused:
        make()
    assert words in str(refused.value)

"""Rules, rates by layer and starts against hand calculations, torch's parameter groups and optax.partition."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxlab.core.config import from_json, override, to_json
from jaxlab.core.types import UserError
from jaxlab.optim import SGD, Adam, AdamW, FineTune, Freeze, Groups, Rate
from jaxlab.optim.tuning import notes, summary
from jaxlab.training.state import _named

LAYERS = ("stem", "block1", "block2", "pool", "readout")
SHAPES = {
    "backbone.stem.kernel": (3, 4),
    "backbone.stem.bn.scale": (4,),
    "backbone.stem.bn.bias": (4,),
    "backbone.block1.kernel": (4, 4),
    "backbone.block1.bn.scale": (4,),
    "backbone.block1.bn.bias": (4,),
    "backbone.block2.kernel": (4, 5),
    "head.kernel": (5, 2),
    "head.bias": (2,),
}
STATS = ("backbone.stem.bn.mean", "backbone.block1.bn.mean", "backbone.block1.bn.var")
LAYER_OF = {path: path.split(".")[1] if path.startswith("backbone") else "readout" for path in SHAPES}


def resolve(epochs=10.0, unread=(), **fields):
    return FineTune(**fields).resolve(LAYERS, LAYER_OF, unread, epochs)


def by_layer(tuning):
    return {LAYER_OF[path]: factor for path, factor in tuning.factor.items()}


def test_everything_trains_alike_by_default():
    tuning = resolve()
    assert tuning.factor == dict.fromkeys(SHAPES, 1.0)
    assert tuning.starts(4) == {0: tuning.factor}
    assert tuning.frozen_norms(tuning.factor, SHAPES, STATS) == frozenset()


def test_layer_decay_counts_the_layers_after_that_have_parameters():
    assert by_layer(resolve(layer_decay=0.5, head_rate=3.0)) == {
        "stem": 0.125, "block1": 0.25, "block2": 0.5, "readout": 3.0,
    }  # fmt: skip


def test_layers_behind_the_one_that_is_read_neither_train_nor_count():
    tuning = resolve(layer_decay=0.5, unread={"backbone.block2.kernel"})
    assert by_layer(tuning) == {"stem": 0.25, "block1": 0.5, "readout": 1.0}
    assert "backbone.block2.kernel" not in tuning.factor


def test_the_first_rule_that_matches_decides():
    rules = (
        Rate(pattern="bias$", factor=2.0),
        Freeze(through="stem"),
        Freeze(pattern=r"block\d", until_epoch=2.5),
    )
    tuning = resolve(rules=rules, layer_decay=0.5)
    assert tuning.factor == {
        "backbone.stem.bn.bias": 0.25, "backbone.block1.bn.bias": 0.5, "head.bias": 2.0, "head.kernel": 1.0,
        "backbone.block1.kernel": 0.25, "backbone.block1.bn.scale": 0.25, "backbone.block2.kernel": 0.5,
    }  # fmt: skip
    starts = tuning.starts(4)
    assert list(starts) == [0, 10]
    assert set(starts[10]) == {path for path in SHAPES if "block" in path and "bias" not in path}


def test_through_takes_the_layers_before_with_it_and_a_rate_of_one_spares():
    rules = (Rate(pattern="scale", factor=1.0), Freeze(through="block1"))
    assert set(resolve(rules=rules).factor) == {
        "backbone.stem.bn.scale", "backbone.block1.bn.scale", "backbone.block2.kernel", "head.kernel", "head.bias",
    }  # fmt: skip
    assert set(resolve(rules=(Freeze(through="pool"),)).factor) == {"head.kernel", "head.bias"}


def test_unfreezing_from_the_top():
    rules = (Freeze(through="block1", until_epoch=4), Freeze(through="block2", until_epoch=2))
    starts = resolve(rules=rules).starts(3)
    assert {step: {LAYER_OF[path] for path in group} for step, group in starts.items()} == {
        0: {"readout"}, 6: {"block2"}, 12: {"stem", "block1"},
    }  # fmt: skip


def test_an_early_end_of_freezing_is_never_the_first_step():
    assert list(resolve(rules=(Freeze(through="stem", until_epoch=0.01),)).starts(3)) == [0, 1]


def test_what_starts_within_the_last_epoch_has_a_step_left():
    """0.9 epochs of four steps are nearest to all of the four."""
    assert list(resolve(rules=(Freeze(through="stem", until_epoch=0.9),), epochs=1.0).starts(4)) == [0, 3]


def test_batch_norms_whose_parameters_are_frozen_are_held():
    frozen = resolve(rules=(Freeze(through="stem"),))
    assert frozen.frozen_norms(frozen.factor, SHAPES, STATS) == {"backbone.stem.bn"}
    part = resolve(rules=(Freeze(pattern=r"stem\.bn\.scale"),))
    assert part.frozen_norms(part.factor, SHAPES, STATS) == frozenset()
    everything = resolve(statistics="frozen")
    assert everything.frozen_norms(everything.factor, SHAPES, STATS) == {
        "backbone.stem.bn",
        "backbone.block1.bn",
    }
    of_head = {**SHAPES, "head.norm.scale": (4,)}
    assert everything.frozen_norms(of_head, of_head, (*STATS, "head.norm.mean")) == {
        "backbone.stem.bn", "backbone.block1.bn",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"rules": (Freeze(pattern="layer9"), Freeze(through="blok1"), Rate(pattern="^stem", factor=2.0))},
            (
                "FineTune.rules.0, Freeze(pattern='layer9'), matches none of the 9 parameters, such as backbone.stem",
                "rules.1, Freeze(through='blok1'), names no layer of the model, which has stem, block1, block2, pool",
                "rules.2, Rate(pattern='^stem', factor=2.0), matches none",
            ),
        ),
        ({"rules": (Freeze(through="readout"),)}, ("names no layer",)),
        (
            {"rules": (Freeze(through="block1"), Freeze(pattern="stem"))},
            ("rules.1, Freeze(pattern='stem'), comes too late: earlier rules decide on the 3 parameters",),
        ),
        (
            {"rules": (Freeze(through="stem", until_epoch=10),)},
            ("Freeze(through='stem', until_epoch=10.0), lasts as long as the run, which has 10 epochs",),
        ),
        ({"rules": (Freeze(pattern=""),)}, ("nothing trains: they freeze all 9 parameters",)),
        ({"rules": (Freeze(pattern="", until_epoch=3),)}, ("nothing trains before epoch 3 has ended",)),
    ],
)
def test_rules_that_do_not_fit_the_network_are_all_named(fields, words):
    with pytest.raises(UserError) as refused:
        resolve(**fields)
    for part in words:
        assert part in str(refused.value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Freeze(), "expected pattern or through, found pattern=None, through=None"),
        (lambda: Freeze(pattern="a", through="b"), "expected pattern or through"),
        (lambda: Freeze(pattern="a("), "found 'a(' (missing ), unterminated subpattern at position 1)"),
        (lambda: Rate(pattern="[z", factor=1.0), "unterminated character set at position 0"),
        (lambda: Freeze(pattern="a", until_epoch=0), "Freeze.until_epoch: expected more than 0, found 0"),
        (lambda: Rate(pattern="a", factor=0.0), "Rate.factor: expected more than 0"),
        (
            lambda: FineTune(layer_decay=0.0),
            "FineTune.layer_decay: expected more than 0 and at most 1, found 0",
        ),
        (lambda: FineTune(layer_decay=1.1), "found 1.1"),
        (lambda: FineTune(head_rate=-1.0), "FineTune.head_rate: expected more than 0, found -1"),
        (lambda: FineTune(statistics="off"), "FineTune.statistics"),
        (lambda: FineTune(rules=("stem",)), "FineTune.rules"),
    ],
)
def test_settings_out_of_range_are_named(make, words):
    with pytest.raises(UserError) as refused:
        make()
    assert words in str(refused.value)


def test_a_config_of_rules_survives_json_and_is_overridden_by_name():
    config = FineTune(rules=(Freeze(pattern="a", until_epoch=3), Rate(pattern="b", factor=0.1)))
    assert from_json(to_json(config)) == config
    changed = override(config, ["rules.0.until_epoch=5", "rules.1.factor=2"])
    assert changed.rules == (Freeze(pattern="a", until_epoch=5), Rate(pattern="b", factor=2.0))
    assert config.smoke().rules[0].until_epoch == 0.5


# -- updates -------------------------------------------------------------------------------------------------

RATES = (0.1, 0.05, 0.2, 0.01)


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    draw = lambda: {path: rng.normal(size=shape) for path, shape in SHAPES.items()}  # noqa: E731
    return draw(), [draw() for _ in RATES]


def updated(optimizer, tuning, start, gradients, steps_per_epoch=1):
    """Parameters after the updates, each group taking part from its start on."""
    starts = tuning.starts(steps_per_epoch)
    groups = Groups(optimizer, tuple(starts.values()), ())
    params = {path: jnp.asarray(p, jnp.float32) for path, p in start.items()}
    state = groups.init(params)
    structure, update = jax.tree.structure(state), jax.jit(groups.update)
    for step, (rate, gradient) in enumerate(zip(RATES, gradients, strict=True)):
        trains = {path for first, group in starts.items() if first <= step for path in group}
        grads = {path: jnp.asarray(gradient[path], jnp.float32) for path in trains}
        params, state = update(grads, state, params, jnp.asarray(rate))
        assert jax.tree.structure(state) == structure
    return params


def torch_sgd(p, gradients, rates, momentum, decoupled):
    """torch.optim.SGD of one parameter group, with decay as Loshchilov & Hutter 2019, algorithm 1."""
    buffer = None
    for rate, g in zip(rates, gradients, strict=True):
        buffer = g if buffer is None else momentum * buffer + g
        p = p - rate * (buffer + decoupled * p)
    return p


def torch_adamw(p, gradients, rates, decoupled, b1=0.9, b2=0.999, eps=1e-8):
    """torch.optim.AdamW of one parameter group."""
    m = v = np.zeros_like(p)
    for t, (rate, g) in enumerate(zip(rates, gradients, strict=True), 1):
        p = p * (1 - rate * decoupled)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        p = p - rate / (1 - b1**t) * m / (np.sqrt(v) / np.sqrt(1 - b2**t) + eps)
    return p


FACTORS = {"stem": 0.125, "block1": 0.25, "block2": 0.5, "readout": 3.0}


@pytest.mark.parametrize("kind", [SGD, AdamW])
def test_layerwise_rates_are_torchs_parameter_groups(problem, kind):
    """Weight decay is scaled with the rate, as in a group with a learning rate of its own."""
    start, gradients = problem
    got = updated(kind(weight_decay=0.3), resolve(layer_decay=0.5, head_rate=3.0), start, gradients)
    for path, p in start.items():
        rates = [rate * FACTORS[LAYER_OF[path]] for rate in RATES]
        own, decay = [g[path] for g in gradients], 0.3 if p.ndim > 1 else 0.0
        want = torch_sgd(p, own, rates, 0.9, decay) if kind is SGD else torch_adamw(p, own, rates, decay)
        np.testing.assert_allclose(got[path], want, rtol=2e-5, atol=2e-6, err_msg=path)


def test_layerwise_rates_are_optax_partitions(problem):
    start, gradients = problem
    got = updated(AdamW(weight_decay=0.3), resolve(layer_decay=0.5, head_rate=3.0), start, gradients)
    params = {path: jnp.asarray(p, jnp.float32) for path, p in start.items()}
    decayed = {path: p.ndim > 1 for path, p in start.items()}

    def adamw(layer, factor):
        mask = {path: on and LAYER_OF[path] == layer for path, on in decayed.items()}
        rate = lambda step: factor * jnp.asarray(RATES)[step]  # noqa: E731
        return optax.adamw(rate, weight_decay=0.3, mask=lambda tree: {path: mask[path] for path in tree})

    transform = optax.partition({layer: adamw(layer, f) for layer, f in FACTORS.items()}, LAYER_OF)
    state, update = transform.init(params), jax.jit(transform.update)
    for gradient in gradients:
        gradient = {path: jnp.asarray(g, jnp.float32) for path, g in gradient.items()}
        updates, state = update(gradient, state, params)
        params = optax.apply_updates(params, updates)
    for path in start:
        np.testing.assert_allclose(got[path], params[path], rtol=2e-5, atol=2e-6, err_msg=path)


def test_a_late_group_starts_as_a_new_optimizer_and_a_frozen_one_is_never_touched(problem):
    """Adam's count is its own, while the rate is that of the run's step; weight decay waits too."""
    start, gradients = problem
    rules = (Freeze(through="stem"), Freeze(through="block2", until_epoch=2))
    got = updated(AdamW(weight_decay=0.3), resolve(rules=rules), start, gradients)
    for path, p in start.items():
        if LAYER_OF[path] == "stem":
            np.testing.assert_array_equal(got[path], p.astype(np.float32))
            continue
        first = 0 if LAYER_OF[path] == "readout" else 2
        own, decay = [g[path] for g in gradients[first:]], 0.3 if p.ndim > 1 else 0.0
        want = torch_adamw(p, own, RATES[first:], decay)
        np.testing.assert_allclose(got[path], want, rtol=2e-5, atol=2e-6, err_msg=path)


LATE = (Freeze(through="stem"), Freeze(through="block2", until_epoch=2))


def partitioned(optimizer, tuning, start, gradients, conditionally):
    """optax.partition, one transformation a start, zeros as gradients of what is frozen: parameters and state."""
    starts = tuning.starts(1)
    labels = {path: first for first, group in starts.items() for path in group}

    def transform(first):
        if not conditionally:
            return optimizer.build(())
        return optax.transforms.conditionally_transform(optimizer.build(()), lambda step: step >= first)

    partition = optax.partition({first: transform(first) for first in starts}, labels)
    both = optax.chain(optimizer.clip(), partition)
    params = {path: jnp.asarray(start[path], jnp.float32) for path in labels}
    state = both.init(params)
    for step, (rate, gradient) in enumerate(zip(RATES, gradients, strict=True)):
        grads = {path: jnp.asarray(gradient[path] * (labels[path] <= step), jnp.float32) for path in labels}
        updates, state = both.update(grads, state, params)
        params = {path: p - rate * tuning.factor[path] * updates[path] for path, p in params.items()}
    return params, state


@pytest.mark.parametrize("optimizer", [SGD(clip_norm=0.5), Adam(clip_norm=0.5)], ids=["SGD", "Adam"])
def test_late_groups_are_optax_partitions_of_conditional_transformations(problem, optimizer):
    start, gradients = problem
    tuning = resolve(rules=LATE, layer_decay=0.5)
    got = updated(optimizer, tuning, start, gradients)
    want, _ = partitioned(optimizer, tuning, start, gradients, conditionally=True)
    for path, p in want.items():
        np.testing.assert_allclose(got[path], p, rtol=1e-5, atol=1e-6, err_msg=path)


def test_optax_partition_alone_counts_the_steps_before_a_start(problem):
    """Why `Groups` is ours: two steps of zeros and a count of 2 before the first gradient change Adam's first step."""
    start, gradients = problem
    tuning = resolve(rules=LATE)
    got = updated(Adam(), tuning, start, gradients)
    other, _ = partitioned(Adam(), tuning, start, gradients, conditionally=False)
    np.testing.assert_allclose(got["head.kernel"], other["head.kernel"], rtol=1e-5, atol=1e-6)
    assert np.abs(got["backbone.block2.kernel"] - other["backbone.block2.kernel"]).max() > 0.01


def test_the_optimizers_leaves_have_the_names_that_older_checkpoints_give_them(problem):
    """A checkpoint is read by these names; those of optax.partition's state are others, and a step is added."""
    start, gradients = problem
    tuning = resolve(
        rules=(Freeze(pattern=r"^backbone\.(?!block2\.kernel)"), Freeze(through="block2", until_epoch=2))
    )
    groups = Groups(AdamW(), tuple(tuning.starts(1).values()), ())
    names = set(_named(groups.init({path: jnp.asarray(p) for path, p in start.items()})))
    own = {0: ("head.bias", "head.kernel"), 1: ("backbone.block2.kernel",)}
    assert names == {f"{k}.0.count" for k in own} | {
        f"{k}.0.{moment}.{path}" for k, paths in own.items() for path in paths for moment in ("mu", "nu")
    }
    _, state = partitioned(Adam(), tuning, start, gradients, conditionally=True)
    assert names.isdisjoint(_named(state))
    assert "1.inner_states.2.inner_state.step" in _named(state)


def test_the_gradients_norm_is_clipped_over_all_that_train(problem):
    start, gradients = problem
    rules = (Freeze(through="block2", until_epoch=2),)
    got = updated(SGD(momentum=0.0, clip_norm=0.5), resolve(rules=rules), start, gradients)
    want = dict(start)
    for step, (rate, gradient) in enumerate(zip(RATES, gradients, strict=True)):
        own = {path: g for path, g in gradient.items() if step >= 2 or LAYER_OF[path] == "readout"}
        norm = np.sqrt(sum((g**2).sum() for g in own.values()))
        assert norm > 0.5
        want |= {path: want[path] - rate * g * 0.5 / norm for path, g in own.items()}
    for path in start:
        np.testing.assert_allclose(got[path], want[path], rtol=2e-5, atol=2e-6, err_msg=path)


def test_frozen_parameters_have_no_optimizer_state():
    tuning = resolve(rules=(Freeze(pattern=r"^backbone\."),))
    groups = Groups(Adam(), tuple(tuning.starts(1).values()), ())
    state = groups.init({path: jnp.zeros(shape) for path, shape in SHAPES.items()})
    assert sum(leaf.size for leaf in jax.tree.leaves(state)) == 1 + 2 * (10 + 2)  # a count, two moments


# -- the record ----------------------------------------------------------------------------------------------


def test_the_table_has_a_line_for_all_of_a_layer_that_trains_alike():
    rules = (Freeze(through="stem"), Freeze(pattern=r"block1\.kernel", until_epoch=2.5))
    tuning = resolve(rules=rules, layer_decay=0.5, unread={"backbone.block2.kernel"})
    table = tuning.table(LAYERS, LAYER_OF, {"backbone.block2.kernel"}, SHAPES, STATS, 0.1)
    fields = ("layer", "arrays", "parameters", "trains", "rate", "after_epoch", "statistics")
    assert [tuple(entry[name] for name in fields) for entry in table] == [
        ("stem", 3, 20, "no", None, None, "frozen"),
        ("block1", 2, 8, "yes", 0.05, 0.0, "train"),
        ("block1", 1, 16, "yes", 0.05, 2.5, None),
        ("block2", 1, 20, "unread", None, None, None),
        ("readout", 2, 12, "yes", 0.1, 0.0, None),
    ]
    assert summary(table) == (
        "trains 20 of 76 parameters; 16 more after epoch 2.5; the head reads nothing of 20"
    )
    normalised = tuning.table(LAYERS, LAYER_OF, (), SHAPES, (*STATS, "head.norms.block2.mean"), 0.1)
    assert (normalised[-1]["layer"], normalised[-1]["statistics"]) == ("readout", "train")
    assert notes(table, 4)[10] == "block1 (16 parameters) train from here"

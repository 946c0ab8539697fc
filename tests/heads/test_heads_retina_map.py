"""The retina map against scipy: bilinear sampling, shares of layers, noise; positions from coordinates by hand."""

import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from readouts import SHAPES, built, evaluated, features_of, names, shapes_of, training
from scipy.ndimage import map_coordinates
from scipy.special import erf, expit, softmax
from scipy.stats import entropy

from jaxlab.core import tree
from jaxlab.core.config import from_json, to_json
from jaxlab.core.types import EVALUATION, UserError
from jaxlab.heads import ROI, Network, PerROI, Rates, RetinaMap, Squashed, Sum, chunks
from jaxlab.heads.combine import SumModule
from jaxlab.heads.coordinates import check_same, read_coordinates
from jaxlab.losses import Ramp

FEATURES = features_of(3)
LAYERS = ("first", "second", "last")  # two maps of other sizes, and a vector


def flat(module):
    return {path: np.asarray(leaf, np.float64) for path, leaf in tree.flatten(nnx.state(module)).items()}


def expected_of(module, positions):
    """(b, t) from (t, b, 2) positions whose -1 and 1 are the images' edges; what lies beyond a map is its border."""
    values = flat(module)
    layers, pooled = softmax(values["places.select"], 1), expit(values["places.share"])
    found = np.tile(values["bias"], (3, 1))
    for number, name in enumerate(LAYERS):
        x = np.asarray(FEATURES[name], np.float64)
        x = x if x.ndim == 4 else x[:, None, None]
        local = x @ values[f"layers.{name}.local"]
        means = x.mean((1, 2)) @ values[f"layers.{name}.pooled"]
        for t, weight in enumerate(values["weight"]):
            for b in range(3):
                at = ((positions[t, b] + 1) * x.shape[1:3] - 1) / 2
                channels = np.moveaxis(local[b], -1, 0)
                there = np.array(
                    [map_coordinates(c, at[:, None], order=1, mode="nearest")[0] for c in channels]
                )
                mixed = (1 - pooled[t]) * there + pooled[t] * means[b]
                found[b, t] += layers[t, number] * (weight @ mixed)
    return found


@pytest.mark.parametrize(
    ("limit", "mode"), [(2**20, EVALUATION), (15, training(3))], ids=["at once", "chunks, in training"]
)
def test_outputs_are_those_of_the_selected_places_and_layers(limit, mode, monkeypatch):
    monkeypatch.setattr(chunks, "CPU_LIMIT", limit)
    module = built(RetinaMap(layer=LAYERS, normalize=False, width=4, noise=0.3))
    positions = np.asarray(module.positions(module.places(), 3, mode), np.float64)
    still = np.clip(flat(module)["places.mu"], -1, 1)
    assert (np.abs(still) == 1).any(), "a position beyond the map"
    assert mode.train == (np.ptp(positions, axis=1).min() > 0), (
        "each image at a place of its own in training alone"
    )
    if not mode.train:
        np.testing.assert_allclose(positions, np.repeat(still[:, None], 3, 1), rtol=1e-6)
    np.testing.assert_allclose(
        evaluated(module, FEATURES, mode), expected_of(module, positions), rtol=1e-4, atol=1e-4
    )


def test_positions_are_moved_by_the_noise():
    module = built(RetinaMap(layer="first", noise=0.2), targets=20)
    selected = module.places()
    moved = (
        np.asarray(module.positions(selected, 500, training(500))) - np.asarray(selected.position)[:, None]
    )
    assert moved.std() == pytest.approx(0.2, rel=0.02)
    assert abs(moved.mean()) < 0.01
    assert not np.allclose(moved, np.asarray(module.positions(selected, 500, training(500, step=1))))


def test_penalty_is_of_a_choice():
    """0 of all layers alike and half of the mean; entropy by scipy."""
    module = built(RetinaMap(layer=LAYERS, entropy=0.5))
    layers, pooled = softmax(flat(module)["places.select"], 1), expit(flat(module)["places.share"])
    expected = 0.5 * (1 - entropy(layers, base=3, axis=1) + (pooled - 0.5) ** 2).mean()
    assert float(module.penalty()) == pytest.approx(expected, rel=1e-5)
    fresh = jax.jit(lambda: RetinaMap(layer=LAYERS, entropy=0.5).build(shapes_of(), names(5), nnx.Rngs(0)))()
    assert float(fresh.penalty()) == pytest.approx(0, abs=1e-6)
    alone = built(RetinaMap(layer="first", entropy=2.0))
    pooled = expit(flat(alone)["places.share"])
    assert float(alone.penalty()) == pytest.approx(2 * ((pooled - 0.5) ** 2).mean(), rel=1e-5)
    assert float(built(RetinaMap(layer=LAYERS)).penalty()) == 0


@pytest.mark.parametrize(
    "around",
    [
        lambda head: head,
        lambda head: Sum(heads=(head,)),
        lambda head: PerROI(parts=(ROI(name="a", targets=".*", head=head),)),
        lambda head: Squashed(head=head),
        lambda head: Rates(head=head),
    ],
)
def test_a_penalty_may_fade_wherever_the_readout_stands(around):
    head = RetinaMap(layer=LAYERS, entropy=Ramp(start=0.1, end=0.0, epochs=4))
    module, constant = (built(around(one)) for one in (head, replace(head, entropy=0.1)))
    network = Network(nnx.Module(), module)
    assert from_json(to_json(head)) == head
    full = float(constant.penalty())
    assert full > 0
    for epoch in (0.0, 1.0, 3.0, 8.0):
        faded = full * np.interp(epoch, [0, 4], [1, 0])
        assert float(network.penalty(jnp.float32(epoch))) == pytest.approx(faded, rel=1e-5)
    assert float(module.penalty()) == 0


class Dearer(SumModule):
    """A user's own, with a penalty beside that of what it is made from."""

    def penalty(self):
        return super().penalty() + 2


def test_a_penalty_that_somebody_writes_on_top_counts():
    inner = built(RetinaMap(layer=LAYERS, entropy=0.1))
    expected = float(inner.penalty()) + 2
    for head in (Dearer([inner]), SumModule([Dearer([inner])])):
        assert float(Network(nnx.Module(), head).penalty(1.0)) == pytest.approx(expected)


# -- coordinates -----------------------------------------------------------------------------------------------------


def table(path, lines):
    path.write_text("\n".join(lines) + "\n")
    return str(path)


ROWS = ("n1,-4,30", "n0,-2,10", "other,900,900", "n2,0,5")


def test_coordinates_are_joined_by_name_in_any_unit(tmp_path):
    """Of n0, n1, n2: x from -4 to 0, y from 5 to 30, so that 25 is 100 steps."""
    expected = [[8, 20, 0], [0, 100, 0], [16, 0, 0]]
    file = table(tmp_path / "mm.csv", ("vertex,x,y", *ROWS))
    np.testing.assert_allclose(read_coordinates(tmp_path / "mm.csv", names(3)), expected, atol=1e-5)
    cells = [row.split(",") for row in ROWS]
    table(
        tmp_path / "far.csv",
        ("v,x,y", *(f"{n},{1 + float(x) / 1e9!r},{1 + float(y) / 1e9!r}" for n, x, y in cells)),
    )
    np.testing.assert_allclose(read_coordinates(tmp_path / "far.csv", names(3)), expected, atol=1e-4)
    module = RetinaMap(layer="first", coordinates=file).build(shapes_of(), names(3), nnx.Rngs(0))
    np.testing.assert_allclose(module.places.coordinates.values[...], expected, atol=1e-5)


def test_positions_are_those_of_the_papers_network(tmp_path):
    """192 sines and cosines, two hidden layers with GELU, tanh: PyTorch's formulas in float64."""
    file = table(tmp_path / "c.csv", ("vertex,x,y", *ROWS))
    module = built(RetinaMap(layer=LAYERS, coordinates=file), targets=3)
    values = flat(module)
    omega = np.logspace(0, 1 / 32 - 1, 32, base=1000)
    angles = values["places.coordinates.values"][..., None] * omega
    waves = np.stack([np.sin(angles), np.cos(angles)], -1).reshape(3, 192)

    def output(net):
        x = waves
        for layer in ("first", "second"):
            x = x @ values[f"places.{net}.{layer}.kernel"] + values[f"places.{net}.{layer}.bias"]
            x = x * (1 + erf(x / np.sqrt(2))) / 2
        return x @ values[f"places.{net}.last"]

    selected = module.places()
    np.testing.assert_allclose(selected.position, np.tanh(output("mu")), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(selected.layers, softmax(output("select"), 1), rtol=1e-2, atol=1e-3)
    np.testing.assert_allclose(selected.pooled, expit(output("share"))[:, 0], rtol=1e-2, atol=1e-3)


def test_the_file_is_needed_when_training_begins_alone(tmp_path):
    """Shapes, of which a trained network is made, are traced without it; parameters hold what it said."""
    head = RetinaMap(layer="first", coordinates=str(tmp_path / "gone.csv"))
    module = nnx.eval_shape(lambda: head.build(shapes_of(), names(3), nnx.Rngs(0)))
    assert module.places.coordinates.values.shape == (3, 3)
    roi = ROI(name="all", targets="n.*", head=Sum(heads=(head,)))
    for whole in (head, Squashed(head=head), PerROI(parts=(roi,))):
        with pytest.raises(UserError, match=r"^RetinaMap\.coordinates: .*gone\.csv: no such file"):
            whole.check_targets(names(3))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("t,x", "n0,1", "n1,2"), "expected coordinates of 3 targets, found none of 1 of them (n2)"),
        (("t,x", "N0,1", "N1,2", "N2,2"), "none of 3 of them (n0, n1, n2); they differ in capital letters"),
        (("t,x", "n0,1", "n1,1", "n2,1"), "expected targets at different places, found all 3 at one"),
        (("t,x", "n0,1", "n1,a", "n2,1"), "expected a number in each of x, found none of n1"),
        (("t,x,y", "n0,1,1", "n1,,1", "n2,1,inf"), "expected a number in each of x, y, found none of n1, n2"),
        (("t,x", "n0,1", "n1,1", "n1,2", "n2,0"), "1 ids occur more than once in column 't' (n1)"),
        (("t", "n0", "n1"), "one to 3 of coordinates, found 0 beside 't': none"),
        (("t,a,b,c,d", "n0,1,2,3,4"), "one to 3 of coordinates, found 4 beside 't': a, b, c, d"),
        (("t;x", "n0;1", "n1;2"), "cells are separated by semicolons"),
    ],
)
def test_a_file_that_does_not_place_the_targets_is_refused(lines, message, tmp_path):
    head = RetinaMap(layer="first", coordinates=table(tmp_path / "c.csv", lines))
    with pytest.raises(UserError, match=re.escape(message)):
        head.check_targets(names(3))


def test_networks_of_other_coordinates_are_told_apart(tmp_path):
    """Those of another unit are the same; batch norms' statistics may differ."""
    flat_stats = {
        "head.places.coordinates.values": np.eye(3, dtype=np.float32),
        "head.norms.a.mean": np.zeros(2),
    }
    near = {path: leaf + 1e-6 for path, leaf in flat_stats.items()}
    check_same(flat_stats, {**near, "head.norms.a.mean": np.ones(2)}, "run")
    moved = {**near, "head.places.coordinates.values": np.diag([1.0, 6.0, 1.0])}
    with pytest.raises(UserError, match="run: expected the same coordinates of 3 targets, found 1 elsewhere"):
        check_same(flat_stats, moved, "run")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"width": 0}, "RetinaMap.width: expected 1 or more, found 0"),
        ({"noise": -1.0}, "RetinaMap.noise: expected 0 or more, found -1"),
        ({"entropy": -0.1}, "RetinaMap.entropy: expected 0 or more, found -0.1"),
        ({"layer": "last"}, "RetinaMap.layer: expected layers with height and width (first, second), and beside them "
         "vectors, found last (7,)"),
        ({"layer": ("first", "tokens")}, "found tokens (5, 3)"),
        ({}, "found tokens (5, 3)"),
    ],
)  # fmt: skip
def test_wrong_fields_are_named(fields, message):
    with pytest.raises(UserError, match=re.escape(message)):
        RetinaMap(**fields).build(shapes_of({**SHAPES, "tokens": (5, 3)}), names(5), nnx.Rngs(0))

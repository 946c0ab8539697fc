"""The layouts make the same update, on four devices: batch norm, augmentation, dropout, ragged data."""

from functools import partial

import jax
import numpy as np
import pytest
from tiny import steps, tiny

from jaxlab.core.config import to_json
from jaxlab.core.types import UserError
from jaxlab.experiment import Training
from jaxlab.models.shallow_cnn import ShallowCNN
from jaxlab.nn import spread
from jaxlab.nn.cpu import switched
from jaxlab.optim import SGD, AdamW
from jaxlab.training import runtime
from jaxlab.training.sharding import Layout
from jaxlab.training.state import TrainState

# The largest difference of a leaf over the largest change that training made to it, seen after 5 steps in
# float32: SGD 5e-6, AdamW 4e-6. Adam divides by the gradient's own size, so where a gradient is nearly zero
# its rounding error is enlarged; nothing bounds that but eps.
TOLERANCE = {"SGD": 2e-5, "AdamW": 1e-4}
OPTIMIZERS = {"SGD": SGD(lr=0.05, l2=1e-3), "AdamW": AdamW(lr=1e-2)}


@pytest.fixture(scope="module")
def run(arrays_npz):
    """(layout, optimizer, accumulate, steps, ...) -> state and reports, each made once."""
    made = {}

    def once(parallel, optimizer, accumulate=1, count=5, dtype="float32"):
        key = (parallel, optimizer, accumulate, count, dtype)
        if key not in made:
            settings = (
                f"training.parallel={parallel}",
                f"training.accumulate={accumulate}",
                f"training.dtype={dtype}",
            )
            made[key] = steps(tiny(arrays_npz, *settings, optimizer=OPTIMIZERS[optimizer]), count)
        return made[key]

    return once


def apart(a, b, start):
    """The largest difference between leaves, relative to the largest change from the start of that leaf."""
    return max(float(np.abs(a[k] - b[k]).max() / np.abs(b[k] - start[k]).max()) for k in start)


@pytest.mark.slow
@pytest.mark.parametrize(("optimizer", "accumulate"), [("SGD", 1), ("SGD", 2), ("AdamW", 1)])
@pytest.mark.parametrize("parallel", ["pmap", "data"])
def test_same_update_as_a_single_device(run, parallel, optimizer, accumulate):
    assert jax.device_count() == 4
    (state, reports), (one, expected) = (run(p, optimizer, accumulate) for p in (parallel, "single"))
    start, _ = run("single", optimizer, count=0)
    for field in ("params", "stats", "ema"):
        found = apart(getattr(state, field), getattr(one, field), getattr(start, field))
        assert found < TOLERANCE[optimizer], f"{field}: {found}"
    assert int(state.step) == int(one.step) == 5
    for mine, single in zip(reports, expected, strict=True):
        assert mine == pytest.approx(single, rel=2e-5)
    sums, single = state.sums["activity"].compute(), one.sums["activity"].compute()
    assert float(state.sums["activity"].count) == 40
    assert sums == pytest.approx(single, rel=2e-5, abs=1e-6)


@pytest.mark.slow
def test_parameters_in_parts_make_the_same_update(run, arrays_npz, monkeypatch):
    """Two copies, each over two devices; every leaf is large enough, and blocks make theirs whole a second time."""
    monkeypatch.setattr(spread, "SMALL", 2)
    layout = Layout("fsdp", 8, accumulate=2, mesh=(2, 2))
    settings = (
        "training.parallel=fsdp",
        "training.mesh=[2,2]",
        "training.accumulate=2",
        "training.remat=true",
    )
    state, reports = steps(tiny(arrays_npz, *settings, optimizer=OPTIMIZERS["SGD"]), 5)
    (one, expected), (start, _) = run("single", "SGD", 2), run("single", "SGD", count=0)
    for field in ("params", "stats", "ema"):
        found = apart(getattr(state, field), getattr(one, field), getattr(start, field))
        assert found < TOLERANCE["SGD"], f"{field}: {found}"
    for mine, single in zip(reports, expected, strict=True):
        assert mine == pytest.approx(single, rel=2e-5)
    assert state.sums["activity"].compute() == pytest.approx(
        one.sums["activity"].compute(), rel=2e-5, abs=1e-6
    )
    held = sum(np.prod(layout.leaf(leaf).shard_shape(leaf.shape)) for leaf in one.params.values())
    odd = sum(leaf.size for leaf in one.params.values() if all(side % 2 for side in leaf.shape))
    assert held == (sum(leaf.size for leaf in one.params.values()) + odd) / 2


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["pmap", "data"])
def test_bfloat16_agrees_to_its_own_precision_and_keeps_float32_parameters(run, parallel, monkeypatch):
    """bfloat16 has 8 bits: sums over other orders differ by 1 in 256, which training carries on. As on a GPU."""
    monkeypatch.setattr(runtime, "_instructions", lambda: frozenset({"avx512_bf16"}))
    with switched(False):
        (state, reports), (one, expected) = (run(p, "SGD", dtype="bfloat16") for p in (parallel, "single"))
    start, _ = run("single", "SGD", count=0)
    assert apart(state.params, one.params, start.params) < 0.2  # seen: 0.08
    assert {leaf.dtype.name for leaf in (*state.params.values(), *state.stats.values())} == {"float32"}
    assert [r["loss"] for r in reports] == pytest.approx([r["loss"] for r in expected], rel=0.02)
    full, _ = run("single", "SGD")
    assert 1e-5 < apart(one.params, full.params, start.params) < 0.3  # another computation, of the same thing


@pytest.mark.slow
def test_accumulated_gradients_are_the_whole_batchs(arrays_npz):
    """Without batch norm, whose statistics are a micro-batch's own; dropout and augmentation stay on.

    Two updates: sums rounded in another order part further with each, to 2e-5 of the change after five.
    """
    model = ShallowCNN(channels=(4, 6), kernel_sizes=(3, 3), dropout=0.2, norm="layer")
    parts = {"model": model, "optimizer": OPTIMIZERS["SGD"]}
    whole, start, parted = (
        steps(tiny(arrays_npz, "training.parallel=single", f"training.accumulate={k}", **parts), count)
        for k, count in ((1, 2), (1, 0), (4, 2))
    )
    assert apart(parted[0].params, whole[0].params, start[0].params) < TOLERANCE["SGD"]
    for mine, expected in zip(parted[1], whole[1], strict=True):
        assert mine == pytest.approx(expected, rel=2e-5)
    assert parted[0].sums["activity"].compute() == pytest.approx(
        whole[0].sums["activity"].compute(), rel=2e-5, abs=1e-6
    )


def test_auto_takes_the_most_devices_that_share_the_batch():
    expected = {8: ("pmap", 4), 6: ("pmap", 3), 2: ("pmap", 2), 5: ("single", 1)}
    found = {
        batch: (layout.parallel, layout.count) for batch in expected for layout in [Layout("auto", batch)]
    }
    assert found == expected
    assert Layout("auto", 8, accumulate=4).count == 2
    assert Layout("single", 8).count == 1


@pytest.mark.parametrize("parallel", ["single", "data", "fsdp"])
def test_a_program_is_called_as_its_step(parallel):
    """In traces, and where XLA says what took long to compile; pmap calls all of its programs alike."""

    def doubled(factor, batch, axis_name=None):
        return {name: factor * rows for name, rows in batch.items()}

    layout = Layout(parallel, 8)
    program = layout.compile(partial(doubled, 2), batch_at=0, arguments=1, rows_out=True)
    made = program.lower(layout.put_batch({"x": np.zeros((8, 3), np.float32)}))
    assert "doubled" in made.as_text().splitlines()[0]


@pytest.mark.parametrize("parallel", ["pmap", "data", "fsdp"])
def test_a_batch_that_does_not_divide_is_refused(parallel):
    with pytest.raises(UserError, match=r"batch_size / accumulate = 6 must be a multiple of the 4 devices"):
        Layout(parallel, 12, accumulate=2)
    with pytest.raises(UserError, match="accumulate=3 must divide batch_size=8"):
        Layout(parallel, 8, accumulate=3)


def test_mixed_images_need_pairs_on_each_device():
    found = {batch: Layout("auto", batch, group=2).count for batch in (8, 12, 6, 10)}
    assert found == {8: 4, 12: 3, 6: 3, 10: 1}
    with pytest.raises(UserError, match=r"= 5 must be even: images are mixed in pairs"):
        Layout("auto", 10, accumulate=2, group=2)
    with pytest.raises(UserError, match=r"= 12 must be a multiple of 2 times the 4 devices .* use 3 of them"):
        Layout("pmap", 12, group=2)


@pytest.mark.parametrize("mesh", [(2, 4), (1, 2), (3, 1)])
def test_a_mesh_of_other_devices_is_refused(mesh):
    with pytest.raises(
        UserError, match=r"training\.mesh: expected .* number of devices, 4, found .*\(1, 4\)"
    ):
        Layout("fsdp", 8, mesh=mesh)


def test_a_mesh_is_for_parameters_in_parts():
    with pytest.raises(UserError, match=r'Training\.mesh: \(1, 4\) says how parallel="fsdp" .* found'):
        Training(epochs=1, mesh=(1, 4))
    with pytest.raises(UserError, match=r"Training\.mesh: expected .* 1 or more each, found \(0, 4\)"):
        Training(epochs=1, parallel="fsdp", mesh=(0, 4))
    assert Training(epochs=1, parallel="fsdp", mesh=[1, 4]).mesh == (1, 4)
    assert "mesh" not in to_json(Training(epochs=1))


def test_only_what_grows_with_the_parameters_is_divided():
    """Parameters, their average and the optimizer's state: by hand, a quarter of 8 x 1024 and all of the others."""
    leaf = np.zeros((8, 1024), np.float32)
    state = TrainState(
        leaf[0, 0], {"w": leaf}, {"s": leaf}, {"c": leaf}, ({"m": leaf},), {"w": leaf}, 1.0, {}
    )
    placed = Layout("fsdp", 8).put(state)
    held = {
        name: one.addressable_data(0).size
        for name, (one,) in {
            name: jax.tree.leaves(getattr(placed, name))
            for name in ("params", "stats", "constants", "opt_state", "ema")
        }.items()
    }
    assert held == {
        "params": 2048, "stats": 8192, "constants": 8192, "opt_state": 2048, "ema": 2048,
    }  # fmt: skip


def test_put_copies_so_that_donating_one_leaf_leaves_the_others():
    leaf = np.ones(3, np.float32)
    placed = Layout("auto", 8).put({"a": leaf, "b": leaf})
    jax.jit(lambda x: x + 1, donate_argnums=0)(placed["a"])
    np.testing.assert_array_equal(placed["b"], leaf)

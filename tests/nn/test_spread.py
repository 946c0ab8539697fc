"""How leaves are divided over a mesh, against divisions made by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from jaxlab.nn import spread

EIGHT = {"data": 1, "fsdp0": 2, "fsdp1": 2, "fsdp2": 2}
ALL = ("fsdp0", "fsdp1", "fsdp2")


@pytest.mark.parametrize(
    ("shape", "spec"),
    [
        ((3, 3, 64, 128), P(None, None, None, ALL)),  # the largest dimension
        ((7, 7, 512, 64), P(None, None, ALL, None)),
        ((512, 39552), P(None, ALL)),
        ((2048, 39548), P("fsdp2", ("fsdp0", "fsdp1"))),  # 39,548 is 4 times 9,887
        ((50176, 1024), P(None, ALL)),  # targets go before features, of which there are more
        ((14, 14, 39548), P("fsdp2", None, ("fsdp0", "fsdp1"))),
        ((39548,), P(("fsdp0", "fsdp1"))),
        ((39547, 3), P(None, None)),  # a prime: each device has all of it
        ((255,), P()),  # little
        ((), P()),
    ],
)
def test_the_largest_dimension_is_divided_first(shape, spec):
    found = spread.leaf_spec(shape, EIGHT)
    assert tuple(found) == tuple(spec)
    parts = np.prod([EIGHT[name] for names in found if names for name in np.atleast_1d(names)])
    assert all(
        size % np.prod([EIGHT[name] for name in np.atleast_1d(names or [])] or [1]) == 0
        for size, names in zip(shape, found, strict=False)
    )
    assert parts in (1, 4, 8)


def test_a_mesh_of_six_is_of_threes_and_twos():
    assert [spread._factors(number) for number in (1, 2, 6, 8, 12, 7)] == [
        [1], [2], [3, 2], [2, 2, 2], [3, 2, 2], [7]
    ]  # fmt: skip
    axes = {"data": 2, "fsdp0": 3, "fsdp1": 2}
    assert tuple(spread.leaf_spec((64, 90), axes)) == (None, ("fsdp0", "fsdp1"))
    assert tuple(spread.leaf_spec((64, 50), axes)) == ("fsdp1", None)  # neither is of threes


def test_a_mesh_has_its_devices_in_order():
    mesh = spread.mesh_of(jax.devices()[:4], 2, 2)
    assert mesh.shape == {"data": 2, "fsdp0": 2}
    assert [device.id for device in mesh.devices.flat] == [0, 1, 2, 3]
    assert set(mesh.axis_types) == {jax.sharding.AxisType.Auto}


def test_many_targets_stay_where_their_weights_are(monkeypatch):
    """outputs and gradients are numpy's, and no device ever has the kernel whole."""
    monkeypatch.setattr(spread, "MANY", 12)
    monkeypatch.setattr(spread, "SMALL", 1)
    rows, width, targets = 8, 5, 12
    rng = np.random.default_rng(0)
    x, kernel, truth = (
        rng.normal(size=shape).astype(np.float32)
        for shape in ((rows, width), (width, targets), (rows, targets))
    )
    mesh = spread.mesh_of(jax.devices()[:4], 1, 4)

    def loss(kernel, x):
        outputs = spread.by_target(spread.for_targets(x, targets) @ kernel)
        return (jnp.square(spread.by_row(outputs) - truth).sum(), outputs)

    def traced(kernel, x):
        with spread.spreading(mesh):
            gradient, outputs = jax.grad(loss, has_aux=True)(kernel, x)
            return spread.in_parts({"w": gradient})["w"], outputs

    kernel_lies, x_lies = (
        NamedSharding(mesh, spec) for spec in (P(None, mesh.axis_names[1:]), P(mesh.axis_names))
    )
    compiled = jax.jit(traced, in_shardings=(kernel_lies, x_lies)).lower(kernel, x).compile()
    gradient, outputs = compiled(jax.device_put(kernel, kernel_lies), jax.device_put(x, x_lies))
    np.testing.assert_allclose(outputs, x @ kernel, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient, 2 * x.T @ (x @ kernel - truth), rtol=1e-4, atol=1e-4)
    assert f"f32[{width},{targets}]" not in compiled.as_text()
    assert f"f32[{width},{targets // 4}]" in compiled.as_text()

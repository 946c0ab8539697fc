"""What a training is going to take, as `jaxlab train --dry-run` prints it, for 80 columns."""

import time
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.filesize import decimal
from rich.table import Table

from jaxlab.core.machine import memory
from jaxlab.core.words import counted
from jaxlab.runs.network.estimate import Estimate

_SIDE = 1536  # of the matrices whose product is timed: large enough for full speed, little on one core


def table(found: Estimate, times: int = 1) -> Table:
    """times: how many such trainings a study has."""
    shown = Table.grid(padding=(0, 2))
    shown.add_column(style="bold")
    shown.add_column(justify="right")
    shown.add_column(overflow="fold")
    for name, (number, words) in _rows(found, times):
        shown.add_row(name, number, words)
    return shown


def _rows(found: Estimate, times: int) -> Iterator[tuple[str, tuple[str, str]]]:
    learn, validate = found.samples
    yield "samples", (f"{learn:,}", f"to learn from, {validate:,} to validate on")
    for name, count in found.targets.items():
        yield "targets", (f"{count:,}", name)
    yield "sees", ("", _shapes(found.shown))
    yield "parameters", (f"{found.parameters:,}", f"of which {found.trained:,} train in the end")
    epochs = f"{found.epochs:.3g} {'epoch' if found.epochs == 1 else 'epochs'}"
    yield "updates", (f"{found.steps:,}", f"{epochs} of {found.steps_per_epoch:,}")
    if times > 1:
        yield "trainings", (f"{times:,}", "each as said here, one after the other")
    on = f'{counted(found.devices, "device")}, parallel="{found.layout}"'
    yield "rows", (f"{found.rows:,}", f"at a time on each of {on}")
    yield "", ("", "")
    yield "on a device", ("", "")
    for name, size in found.held.items():
        yield "", (decimal(size), name)
    yield "", (decimal(found.activations), "activations, or less where XLA fuses them")
    room = device_memory(found.devices)
    fits = "" if found.bytes < room else ": not going to fit; a smaller batch_size, or accumulate, needs less"
    yield "in all", (decimal(found.bytes), f"of {decimal(room)}{fits}")
    yield "", ("", "")
    yield from _work(found)


def _work(found: Estimate) -> Iterator[tuple[str, tuple[str, str]]]:
    if not np.isfinite(found.operations):
        return
    speed = matrix_product_speed(found.devices)
    least = found.operations / speed
    yield "work", (f"{found.operations / 1e12:,.3g}", "TFLOP")
    on = counted(found.devices, "device")
    yield "", (f"{speed / 1e9:,.3g}", f"GFLOP/s of {on} in a product of matrices")
    yield "at least", (_time(least), "at that speed, which no network reaches")


def _shapes(shown: Any) -> str:
    if isinstance(shown, tuple):
        return " x ".join(map(str, shown))
    return ", ".join(f"{name} {_shapes(tuple(getattr(own, 'shape', own)))}" for name, own in shown.items())


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def device_memory(devices: int) -> int:
    """Bytes of one; of a processor's devices, which share the machine's, a part."""
    told = jax.local_devices()[0].memory_stats() or {}
    return int(told.get("bytes_limit", memory() // devices))


def matrix_product_speed(devices: int) -> float:
    """Operations a second of products of float32 matrices, one on each of so many devices; the best of three."""
    square = jnp.ones((devices, _SIDE, _SIDE))
    product = jax.pmap(jnp.dot, devices=jax.local_devices()[:devices])
    product(square, square).block_until_ready()  # compiled
    took = []
    for _ in range(3):
        began = time.perf_counter()
        product(square, square).block_until_ready()
        took.append(time.perf_counter() - began)
    return float(2 * devices * _SIDE**3 / min(took))

"""What XLA's CPU backend alone needs: other forms of layers that it runs slowly as they are written elsewhere.

Layers ask `on_cpu()`; where it says no they are `lax`, `jax.nn` and `flax.nnx` as they are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import jax

_SWITCH: ContextVar[bool | None] = ContextVar("on_cpu", default=None)


def on_cpu() -> bool:
    """Whether a layer that is traced now is written for XLA's CPU backend, which is JAX's default one here."""
    switch = _SWITCH.get()
    return jax.default_backend() == "cpu" if switch is None else switch


@contextmanager
def switched(on: bool) -> Iterator[None]:
    """Layers traced in this context are written for a CPU, or are not, whatever the backend; for tests.

    A function that was compiled before stays as it is.
    """
    token = _SWITCH.set(on)
    try:
        yield
    finally:
        _SWITCH.reset(token)

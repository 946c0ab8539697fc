"""Names that operations of a compiled step, and stretches of the host's time, have in a profiler's trace.

They cost nothing where nobody traces, and change nothing of what is computed.
"""

from contextlib import AbstractContextManager
from typing import Any, Literal

import jax

Scope = Literal["augmentation", "convolution", "attention", "normalisation", "readout", "loss", "optimizer"]
Stage = Literal["waiting for data", "dispatch", "waiting for the devices"]
SCOPE, STAGE = "jaxlab_", "jaxlab: "  # what the names begin with


def scope(name: Scope) -> Any:
    """A context, or decorator: what is traced within is part of that."""
    return jax.named_scope(f"{SCOPE}{name}")


def stage(name: Stage) -> AbstractContextManager[Any]:
    """A context: what the host does within."""
    return jax.profiler.TraceAnnotation(f"{STAGE}{name}")

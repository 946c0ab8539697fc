"""What is set before JAX starts: one device a core on CPU hosts, compiled programs kept on disk, memory kept."""

import contextlib
import os

import jax

from jaxlab.core.store import cache_dir
from jaxlab.training.memory import keep_memory


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prepare() -> None:
    """Set all three; the first two unless the user's environment or a JAX that has already started says otherwise."""
    keep_memory()
    forced = "--xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if not forced and "JAX_NUM_CPU_DEVICES" not in os.environ:
        with contextlib.suppress(RuntimeError):  # JAX runs already (a notebook): its devices stay as they are
            jax.config.update("jax_num_cpu_devices", cores())
    if jax.config.values["jax_compilation_cache_dir"] is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_dir() / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


def compute_dtype(asked: str) -> str:
    """`asked`, or float32 where the GPU has no bfloat16 (compute capability below 8.0: P100, T4)."""
    device = jax.local_devices()[0]
    major = str(getattr(device, "compute_capability", "")).split(".")[0]  # "7" of "7.5"; AMD's are no numbers
    lacking = device.platform == "gpu" and major.isdigit() and int(major) < 8
    return "float32" if asked == "bfloat16" and lacking else asked

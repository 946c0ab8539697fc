"""What commands set before JAX starts: one device a core on CPU hosts, compiled programs kept on disk, memory kept."""

import contextlib
import functools
import os
import warnings
from pathlib import Path

import jax

from jaxlab.core.machine import cores
from jaxlab.core.store import cache_dir
from jaxlab.training.memory import keep_memory


def prepare() -> None:
    """Make this process ready to compute, as each `jaxlab` command does: a notebook or script may ask for it, once.

    Call it before JAX computes anything. It changes the process for all that runs in it:

    - On a CPU, XLA gets one device a core, which halves the time of a step (`jax_num_cpu_devices`); not where
      JAX_NUM_CPU_DEVICES or XLA_FLAGS say how many. After JAX has started it is too late: a warning says so.
    - Compiled programs are kept in $JAXLAB_CACHE/xla (`jax_compilation_cache_dir`), unless they are kept elsewhere.
    - The C library keeps memory that was used (mallopt; Linux with glibc): see jaxlab.training.memory.

    Without it, jaxlab leaves allocator and JAX's settings as they are.
    """
    keep_memory()
    _use_all_cores()
    if jax.config.values["jax_compilation_cache_dir"] is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_dir() / "xla"))
        # a run has dozens of small programs
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _use_all_cores() -> None:
    forced = "--xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    asked = (
        jax.config.values["jax_num_cpu_devices"] != -1
    )  # by JAX_NUM_CPU_DEVICES, by the user, by us before
    if forced or asked:
        return
    try:
        jax.config.update("jax_num_cpu_devices", cores())
    except RuntimeError:
        message = (
            "JAX has started already, so that its CPU devices stay as they are: call jaxlab.prepare() before"
        )
        warnings.warn(message, stacklevel=3)


def compute_dtype(asked: str) -> str:
    """`asked`, or float32 where the processor has no bfloat16: a GPU of compute capability below 8.0 (P100, T4), or a
    CPU without AVX512-BF16 and AMX."""
    device = jax.local_devices()[0]
    major = str(getattr(device, "compute_capability", "")).split(".")[0]  # "7" of "7.5"; AMD's are no numbers
    lacking = device.platform == "gpu" and major.isdigit() and int(major) < 8
    if device.platform == "cpu":
        lacking = not {"avx512_bf16", "amx_bf16"} & _instructions()
    return "float32" if asked == "bfloat16" and lacking else asked


@functools.cache
def _instructions() -> frozenset[str]:
    """What Linux says that an x86 processor has; nothing elsewhere."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("flags"):
                return frozenset(line.split())
    return frozenset()

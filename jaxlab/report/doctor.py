"""`jaxlab doctor`: the devices that JAX sees, versions and folders; and a warning where a GPU lies idle."""

import contextlib
import importlib.metadata
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from jaxlab.core.machine import cores, free_memory, memory, refusal_of_jax
from jaxlab.core.store import cache_dir
from jaxlab.training.hosts.clusters import described
from jaxlab.training.rundir import provenance

_PLUGINS = ("jax-cuda12-plugin", "jax-cuda13-plugin")
_TPU_VARIABLES = ("TPU_NAME", "TPU_ACCELERATOR_TYPE", "TPU_WORKER_HOSTNAMES", "COLAB_TPU_ADDR")
_TPU_PACKAGES = ("libtpu", "libtpu-nightly")
_JAX = "jax"
_INSTALL = "pip install 'jaxlab[cuda12]'"


@dataclass(frozen=True)
class Findings:
    """platform: what JAX runs on, None where it does not start. lines: (title, text). warnings: what is amiss."""

    platform: str | None
    lines: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def show(console: Console | None = None) -> bool:
    """Print what was found; True where nothing is amiss."""
    findings = examine()
    console = console or Console()
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for title, text in findings.lines:
        table.add_row(title, Text(text))
    console.print(table)
    for note in findings.notes:
        console.print(Text(f"note: {note}"))
    for warning in findings.warnings:
        console.print(Text(f"warning: {warning}", style="yellow"))
    return not findings.warnings


def examine() -> Findings:
    """Start JAX as jaxlab's commands do, without taking a GPU's memory, and look around."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import jax

    from jaxlab.training import runtime

    devices, failure = _devices()
    name = devices[0].platform if devices else None
    warnings = [f"JAX does not start: {failure}"] if failure else []
    gpus = physical_gpus()
    if gpus and name in (None, "cpu"):
        warnings.append(f"{', '.join(gpus)} is present, but JAX does not use it: {remedy()}")
    if name != "tpu" and (signs := tpu_signs()):
        warnings.append(f"a TPU is asked for ({', '.join(signs)}), but JAX does not use it: {tpu_remedy()}")
    notes = []
    if name == "gpu" and runtime.compute_dtype("bfloat16") != "bfloat16":
        notes.append(
            "this GPU has no native bfloat16 (compute capability below 8.0): jaxlab computes in float32"
        )
    compiled = jax.config.values["jax_compilation_cache_dir"]
    lines = [
        *(("device", _described(device)) for device in devices if name != "cpu"),
        ("CPU", f"{cores()} cores{f', {len(devices)} XLA devices' if name == 'cpu' else ''}"),
        ("memory", _memory()),
        ("GPU present", ", ".join(gpus) or "none found"),
        *((title, text) for title, text in [("TPU", _tpu())] if text),
        ("processes", described()),
        ("versions", _versions()),
        ("compiled", _folder(Path(compiled)) if compiled else "not kept"),
        ("cache", _folder(cache_dir())),
    ]
    return Findings(name, tuple(lines), tuple(notes), tuple(warnings))


def physical_gpus() -> tuple[str, ...]:
    """NVIDIA GPUs of this machine, as its driver names them, whatever JAX makes of them."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        listed = subprocess.run(
            ["nvidia-smi", "-L"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=True,
            timeout=20,
        )
        named = tuple(
            line.split(" (UUID")[0] for line in listed.stdout.splitlines() if line.startswith("GPU ")
        )
        if named:
            return named
    return tuple(str(node) for node in sorted(device_folder().glob("nvidia[0-9]*")))


def device_folder() -> Path:
    """Where the system keeps a file for each device."""
    return Path("/dev")


def remedy() -> str:
    """What to do about a GPU that JAX does not use."""
    asked = os.environ.get("JAX_PLATFORMS", "")
    if asked and not {"cuda", "gpu"} & set(asked.split(",")):
        return f"JAX_PLATFORMS={asked} is set; unset it"
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return "CUDA_VISIBLE_DEVICES hides it; unset it"
    plugins = [f"{name} {version}" for name in _PLUGINS if (version := _version(name))]
    if not plugins:
        return f"JAX's CUDA support is not installed; {_INSTALL}"
    return (
        f"{', '.join(plugins)} is installed but did not start (jaxlib is {_version('jaxlib')}, and the two must "
        f"match; the driver may be too old); {_INSTALL} --upgrade"
    )


def tpu_signs() -> tuple[str, ...]:
    """What says that this machine or notebook has a TPU, or is to have one."""
    asked = os.environ.get("JAX_PLATFORMS", "")
    signs = [f"JAX_PLATFORMS={asked}"] if "tpu" in asked.split(",") else []
    if chips := tpu_chips():
        signs.append(chips)
    signs += [f"{name}={value}" for name in _TPU_VARIABLES if (value := os.environ.get(name))]
    return (*signs, *(str(node) for node in sorted(device_folder().glob("accel[0-9]*"))))


def tpu_chips() -> str:
    """The TPU chips in this machine, whatever JAX makes of them: "4 chips of v5e", or ""."""
    from jax._src import hardware_utils

    count, version = hardware_utils.num_available_tpu_chips_and_device_id()
    return f"{count} chips of {version.name if version is not None else 'TPU'}" if count else ""


def _tpu() -> str:
    """What there is of a TPU, and of what makes JAX use it; "" where there is neither."""
    installed = [f"{name} {version}" for name in _TPU_PACKAGES if (version := _version(name))]
    found = [one for one in (tpu_chips(), *installed) if one]
    asked = _asked_libtpu()
    if found and asked is not None:
        found[-1] += f"; jax {_version(_JAX)} asks for {asked}"
    return ", ".join(found)


def _asked_libtpu() -> str | None:
    """The version of libtpu that this JAX goes with, as its package says."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for line in importlib.metadata.requires(_JAX) or ():
            requirement = Requirement(line)
            if requirement.name == "libtpu":
                return f"libtpu{requirement.specifier}"
    return None


def tpu_remedy() -> str:
    """What to do about a TPU that JAX does not use."""
    asked = os.environ.get("JAX_PLATFORMS", "")
    if asked and "tpu" not in asked.split(","):
        return f"JAX_PLATFORMS={asked} is set; unset it"
    installed = next((name for name in _TPU_PACKAGES if _version(name)), None)
    if installed is None:
        return (
            f"this JAX is one for CPUs; pip install 'jax[tpu]=={_version(_JAX)}', or in a notebook choose the TPU as "
            "accelerator, whose image has it"
        )
    suits = _asked_libtpu()
    return (
        f"{installed} {_version(installed)} is installed but did not start: another process may have the TPU, or its "
        f"version is not the one for jax {_version(_JAX)}{f', {suits}' if suits else ''}"
    )


def _devices() -> tuple[list[Any], str | None]:
    """The devices, or none and JAX's own words."""
    import jax

    try:
        return jax.local_devices(), None
    except (
        RuntimeError,
        AssertionError,
    ) as error:  # the second where JAX_PLATFORMS names one without a plugin
        return [], refusal_of_jax(error)


def _described(device: Any) -> str:
    """Platform, index and kind, with memory and compute capability where they are known."""
    parts = [f"{device.platform} {device.id}: {device.device_kind}"]
    limit = ((device.memory_stats() or {}) if device.platform != "cpu" else {}).get("bytes_limit")
    if limit:
        parts.append(f"{decimal(limit)} for JAX")
    capability = getattr(device, "compute_capability", None)
    if capability:
        parts.append(f"compute capability {capability}")
    return ", ".join(parts)


def _versions() -> str:
    made = provenance()
    found = {"python": made["python"], **made["versions"], **{name: _version(name) for name in _PLUGINS}}
    return ", ".join(f"{name} {version}" for name, version in found.items() if version)


def _version(package: str) -> str | None:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return None


def _memory() -> str:
    """What this process may use, and how much of it is free."""
    free = free_memory()
    return f"{decimal(memory())}{f', {decimal(free)} free' if free is not None else ''}"


def _folder(path: Path) -> str:
    """The folder, its size, and what its disk has free."""
    size = sum(_sizes(path))
    existing = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())
    return f"{path}, {decimal(size)}; {decimal(shutil.disk_usage(existing).free)} free"


def _sizes(folder: Path) -> Iterator[int]:
    """Of the files in a folder; those that another process removes meanwhile have none."""
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                yield (Path(place) / name).stat().st_size

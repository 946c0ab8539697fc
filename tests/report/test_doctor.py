"""`jaxlab doctor` on machines made up for it."""

import importlib.metadata
import os
from pathlib import Path
from types import SimpleNamespace

import jax
import pytest
from click.testing import CliRunner
from jax._src import hardware_utils

from jaxlab.cli.main import main
from jaxlab.core.machine import memory
from jaxlab.report import doctor
from jaxlab.training.hosts.join import VARIABLES

CPU = SimpleNamespace(platform="cpu", id=0, device_kind="cpu", memory_stats=lambda: None)


def gpu(capability):
    return SimpleNamespace(
        platform="gpu",
        id=0,
        device_kind="Tesla T4",
        compute_capability=capability,
        memory_stats=lambda: {"bytes_limit": 12_000_000_000},
    )


@pytest.fixture(autouse=True)
def _machine(monkeypatch, tmp_path):
    """Two CPU devices, no GPU, no plugin, nothing set."""
    for name in ("JAX_PLATFORMS", "CUDA_VISIBLE_DEVICES", *doctor._TPU_VARIABLES, *VARIABLES):
        monkeypatch.delenv(name, raising=False)
    for name in [one for one in os.environ if one.startswith(("SLURM_", "OMPI_", "TPU_", "KUBERNETES_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(doctor, "device_folder", lambda: tmp_path)
    monkeypatch.setattr(doctor, "_PLUGINS", ())
    monkeypatch.setattr(jax, "local_devices", lambda: [CPU, CPU])


def install_nvidia_smi(folder: Path, text: str, code: int = 0) -> None:
    script = folder / "nvidia-smi"
    script.write_text(f'#!/bin/sh\n[ "$1" = -L ] || exit 9\necho "{text}"\nexit {code}\n')
    script.chmod(0o755)


def run():
    result = CliRunner().invoke(main, ["doctor"])
    return result.exit_code, " ".join(result.output.split())


def test_a_machine_without_gpu_is_well():
    code, text = run()
    assert code == 0
    assert "2 XLA devices" in text
    assert f"{len(os.sched_getaffinity(0))} cores" in text
    assert f"jax {jax.__version__}" in text
    assert "warning" not in text


def test_an_unused_gpu_is_a_warning_that_names_the_fix(tmp_path):
    install_nvidia_smi(tmp_path, "GPU 0: Tesla T4 (UUID: GPU-1234)")
    code, text = run()
    assert code == 1
    assert "GPU 0: Tesla T4 is present" in text
    assert "pip install 'jaxlab[cuda12]'" in text


def test_a_device_file_is_enough_where_there_is_no_nvidia_smi(tmp_path):
    (tmp_path / "nvidia0").touch()
    (tmp_path / "nvidiactl").touch()
    assert doctor.physical_gpus() == (str(tmp_path / "nvidia0"),)
    assert run()[0] == 1


@pytest.mark.parametrize(("text", "code"), [("No devices found.", 0), ("failed to talk to the driver", 9)])
def test_nvidia_smi_without_a_gpu_is_no_gpu(tmp_path, text, code):
    install_nvidia_smi(tmp_path, text, code)
    assert doctor.physical_gpus() == ()
    assert run()[0] == 0


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("JAX_PLATFORMS", "cpu", "JAX_PLATFORMS=cpu is set"),
        ("CUDA_VISIBLE_DEVICES", "", "CUDA_VISIBLE_DEVICES hides it"),
    ],
)
def test_the_environment_is_blamed_where_it_hides_the_gpu(tmp_path, monkeypatch, variable, value, words):
    (tmp_path / "nvidia0").touch()
    monkeypatch.setenv(variable, value)
    code, text = run()
    assert code == 1
    assert words in text
    assert "pip install" not in text


def test_an_installed_plugin_that_did_not_start_is_named(tmp_path, monkeypatch):
    (tmp_path / "nvidia0").touch()
    monkeypatch.setattr(doctor, "_PLUGINS", ("click",))  # stands for a plugin that is installed
    assert "is installed but did not start" in run()[1]


def test_a_gpu_in_use_is_shown_and_an_old_one_noted(tmp_path, monkeypatch):
    (tmp_path / "nvidia0").touch()
    monkeypatch.setattr(jax, "local_devices", lambda: [gpu("7.5")])
    code, text = run()
    assert code == 0
    assert "gpu 0: Tesla T4, 12.0 GB for JAX, compute capability 7.5" in text
    assert "no native bfloat16" in text
    monkeypatch.setattr(jax, "local_devices", lambda: [gpu("9.0")])
    assert "bfloat16" not in run()[1]


@pytest.mark.parametrize(
    ("variable", "value", "installed", "words"),
    [
        ("TPU_ACCELERATOR_TYPE", "v3-8", (), "pip install 'jax[tpu]=="),
        (
            "JAX_PLATFORMS",
            "tpu,cpu",
            (),
            "(JAX_PLATFORMS=tpu,cpu), but JAX does not use it: this JAX is one for CPUs",
        ),
        ("JAX_PLATFORMS", "cpu", (), "JAX_PLATFORMS=cpu is set; unset it"),
        ("TPU_NAME", "local", ("click",), "is installed but did not start: another process may have the TPU"),
    ],
)
def test_a_tpu_that_was_asked_for_and_is_not_used_is_a_warning(
    tmp_path, monkeypatch, variable, value, installed, words
):
    if variable == "JAX_PLATFORMS" and value == "cpu":
        (tmp_path / "accel0").touch()
    monkeypatch.setattr(doctor, "_TPU_PACKAGES", installed)
    monkeypatch.setenv(variable, value)
    code, text = run()
    assert code == 1
    assert "a TPU is asked for" in text
    assert words in text
    tpu = SimpleNamespace(platform="tpu", id=0, device_kind="TPU v3", memory_stats=lambda: None)
    monkeypatch.setattr(jax, "local_devices", lambda: [tpu])
    assert "a TPU is asked for" not in run()[1]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            RuntimeError("Unable to initialize backend 'cuda': no driver\nmore"),
            "backend 'cuda': no driver (with",
        ),
        (AssertionError(), "does not start: AssertionError (with JAX_PLATFORMS=cuda)"),
    ],
)
def test_a_jax_that_does_not_start_is_a_warning(monkeypatch, error, words):
    def fail():
        raise error

    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    monkeypatch.setattr(jax, "local_devices", fail)
    code, text = run()
    assert code == 1
    assert words in text


def test_the_caches_are_shown_with_size_and_free_space(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setenv("JAXLAB_CACHE", str(cache))
    assert f"{cache}, 0 bytes;" in doctor._folder(cache)
    cache.mkdir()
    (cache / "a.npy").write_bytes(b"x" * 1500)
    lines = dict(doctor.examine().lines)
    assert lines["cache"].startswith(f"{cache}, 1.5 kB; ")
    assert lines["cache"].endswith("free")


SLURM = {
    "SLURM_JOB_ID": "12345",
    "SLURM_STEP_NODELIST": "node[07-09],gpu1",
    "SLURM_NTASKS": "4",
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "0",
}
OPEN_MPI = {
    "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1,10.148.0.1:34911",
    "OMPI_COMM_WORLD_SIZE": "8",
    "OMPI_COMM_WORLD_RANK": "5",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
}


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "this one alone; --coordinator auto would find no launcher here"),
        (
            SLURM,
            "Slurm: process 2 of 4, coordinator node07:61497; --coordinator auto takes that",
        ),  # 12345 % 4096
        (SLURM | {"SLURM_PROCID": "two"}, "Slurm, but not as JAX reads it (invalid literal for int()"),
        (
            {"SLURM_JOB_ID": "7"},
            "Slurm's job 7, but no step of it: `srun jaxlab ... --coordinator auto` starts one",
        ),
        (OPEN_MPI, "Open MPI: process 5 of 8, coordinator 10.96.0.1:62624;"),  # 1531576320 / 4096 % 4096
        (
            {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"},
            "Open MPI: process 1 of 2, of a version whose",
        ),
        (
            {"TPU_WORKER_HOSTNAMES": "a,b", "TPU_WORKER_ID": "1"},
            "a TPU slice: worker 1 of 2; --coordinator auto takes",
        ),
        (
            {"KUBERNETES_SERVICE_HOST": "10.0.0.1"},
            "a Kubernetes pod; for --coordinator auto, pip install kubernetes",
        ),
        (SLURM | {"JAXLAB_COORDINATOR": "node0:1"}, "as the environment says: JAXLAB_COORDINATOR=node0:1"),
    ],
)
def test_what_coordinator_auto_would_take_is_said(monkeypatch, environment, words):
    """Ports as JAX's own detection documents them: of the job's number, in the ephemeral range."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert words in dict(doctor.examine().lines)["processes"]


def test_a_tpus_chips_and_the_library_that_its_jax_asks_for(monkeypatch):
    lines = dict(doctor.examine().lines)
    assert "TPU" not in lines
    monkeypatch.setattr(
        hardware_utils, "num_available_tpu_chips_and_device_id", lambda: (4, hardware_utils.TpuVersion.v5e)
    )
    monkeypatch.setattr(
        importlib.metadata, "requires", lambda name: ["numpy", 'libtpu==0.0.42.*; extra == "tpu"']
    )
    found = doctor.examine()
    assert dict(found.lines)["TPU"] == f"4 chips of v5e; jax {jax.__version__} asks for libtpu==0.0.42.*"
    (warning,) = found.warnings
    assert warning.startswith("a TPU is asked for (4 chips of v5e), but JAX does not use it: ")


def test_memory_is_shown_and_all_of_it_is_one_screen():
    said = CliRunner().invoke(main, ["doctor"]).output
    assert f"memory       {memory() / 1e9:.1f} GB, " in said
    lines = said.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80


def test_files_that_others_remove_meanwhile_are_left_out(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "kept").write_bytes(bytes(1000))
    (cache / "gone").symlink_to(cache / "nowhere")  # as one that goes between the look and the question
    monkeypatch.setattr(Path, "is_file", lambda path: True)
    monkeypatch.setenv("JAXLAB_CACHE", str(cache))
    code, text = run()
    assert code == 0
    assert "cache,1.0kB;" in text.replace(" ", "")

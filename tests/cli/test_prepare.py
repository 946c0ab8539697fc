"""Commands make the process ready to compute; what a notebook imports leaves it as it is until it asks for that."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from jaxlab.cli.main import main
from jaxlab.core.machine import cores
from jaxlab.core.types import UserError
from jaxlab.training import runtime

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs/shallow_cnn.py"


def said(program: str, *arguments: object, **variables: str) -> dict:
    """The JSON that `program` prints, in a process of which tests have set nothing; variables: of its environment."""
    ours = ("XLA_FLAGS", "JAX_COMPILATION_CACHE_DIR", "JAX_NUM_CPU_DEVICES")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**kept, **variables},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


PREPARED = """
import json, os
import jax, jaxlab
from jaxlab.training.memory import keep_memory

def settings():
    jaxlab.prepare()
    found = [jax.config.jax_num_cpu_devices, jax.config.jax_compilation_cache_dir]
    jax.config.update("jax_num_cpu_devices", -1)
    return found

found = {"plain": settings(), "again": settings()}
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=3"
found["forced"] = settings()
del os.environ["XLA_FLAGS"]
jax.config.update("jax_num_cpu_devices", 5)
jax.config.update("jax_compilation_cache_dir", "elsewhere")
found["asked"] = settings()
jax.config.update("jax_num_cpu_devices", -1)
jaxlab.prepare()
found["devices"] = jax.local_device_count()
found["kept"] = keep_memory.cache_info().currsize
print(json.dumps(found))
"""


def test_prepare_takes_all_cores_and_keeps_what_is_asked_for(tmp_path):
    told = said(PREPARED, JAXLAB_CACHE=str(tmp_path))
    count, cache = cores(), str(tmp_path / "xla")
    assert told["plain"] == told["again"] == [count, cache]
    assert told["forced"] == [-1, cache]
    assert told["asked"] == [5, "elsewhere"]
    assert told["devices"] == count
    assert told["kept"] == 1


@pytest.fixture
def run(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    (path / "config.json").write_text('{"schema": 1, "experiment": {"type": "Experiment"}}')
    return path


@pytest.mark.parametrize(
    "command",
    [
        "train CONFIG",
        "train CONFIG --smoke",
        "train CONFIG --folds 3",
        "evaluate RUN",
        "predict RUN",
        "features CONFIG",
        "soup RUN RUN --out new",
        "data audit CONFIG",
        "data prepare CONFIG new",
        "doctor",
    ],
)
def test_commands_that_compute_prepare_the_process_first(command, run, monkeypatch):
    def prepare() -> None:
        raise UserError("prepared")

    monkeypatch.setattr(runtime, "prepare", prepare)
    monkeypatch.chdir(run.parent)
    words = command.replace("CONFIG", str(CONFIG)).replace("RUN", "run").split()
    result = CliRunner().invoke(main, words)
    assert (result.exit_code, result.output) == (1, "error: prepared\n"), repr(result.exception)


@pytest.mark.parametrize(
    "command", ["inspect run", "configs list", "simulate new --images 2 --test-images 1"]
)
def test_commands_that_only_look_leave_it(command, run, monkeypatch):
    called: list[str] = []
    monkeypatch.setattr(runtime, "prepare", lambda: called.append(command))
    monkeypatch.chdir(run.parent)
    CliRunner().invoke(main, command.split())
    assert called == []

"""The library leaves the process as it is; commands, and `jaxlab.prepare()`, make it ready."""

import os
import subprocess
import sys

import pytest

from jaxlab.core.machine import cores

OURS = ("XLA_FLAGS", "JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS")
BEGIN = """
import io, os, pathlib, sys, warnings
import jax
before, variables = dict(jax.config.values), dict(os.environ)
import jaxlab, numpy as np
from jaxlab.training.memory import keep_memory

def changed():
    return {name for name, value in jax.config.values.items() if value != before.get(name, value)}

run, out = map(pathlib.Path, sys.argv[1:])
"""
LIBRARY = """
from dataclasses import replace
from jaxlab.experiment import Training
from rich.console import Console
loaded = jaxlab.load(run)
loaded.predict(np.zeros((2, 16, 16, 3), np.uint8))
again = replace(loaded.experiment, augment=(), training=Training(steps=1, batch_size=8))
jaxlab.train(again, out / "again", console=Console(file=io.StringIO()))
assert changed() == set(), changed()
assert dict(os.environ) == variables
assert keep_memory.cache_info().misses == 0
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    jaxlab.prepare()
assert "JAX has started already" in str(said[0].message)
assert said[0].filename == "<string>", "the warning points at the notebook's own line"
assert keep_memory.cache_info().misses == 1, "the rest is done"
"""
READY = """
assert jax.config.values["jax_num_cpu_devices"] == jax.local_device_count() == %d
assert jax.config.values["jax_compilation_cache_dir"].endswith("/xla")
assert keep_memory.cache_info().misses == 1
"""
NOTEBOOK = "jaxlab.prepare()\njaxlab.prepare()\n" + READY
COMMAND = (
    "from jaxlab.cli.main import main\nmain(['predict', str(run), '--out', str(out / 'x.npz')], standalone_mode=False)"
    + READY
)


def alone(program, *arguments):
    environment = {name: value for name, value in os.environ.items() if name not in OURS}
    command = [sys.executable, "-W", "error::UserWarning:jaxlab", "-c", BEGIN + program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_importing_loading_predicting_and_training_change_nothing(trained, tmp_path):
    alone(LIBRARY, trained, tmp_path)


@pytest.mark.parametrize("program", [NOTEBOOK, COMMAND], ids=["jaxlab.prepare", "jaxlab predict"])
@pytest.mark.slow
def test_who_asks_for_it_gets_all_cores_kept_programs_and_kept_memory(trained, tmp_path, program):
    alone(program % cores(), trained, tmp_path)

"""Names of jaxlab 0.1 that config files import."""

import importlib
import subprocess
import sys

import pytest

from jaxlab.moved import MOVED


@pytest.mark.parametrize("name", MOVED)
def test_a_module_has_both_names(name):
    new = importlib.import_module(MOVED[name])
    before = new.__spec__
    assert importlib.import_module(name) is new
    assert new.__spec__ is before
    assert new.__name__ == MOVED[name]


def test_a_config_of_then_is_read_by_a_fresh_process(tmp_path):
    """A component of the user's own, with everything imported from where it was."""
    (tmp_path / "old.py").write_text(
        "from dataclasses import dataclass\n"
        "from jaxlab.config import Component\n"
        "from jaxlab.data.augment import Flip\n"
        "from jaxlab.data.simulated import Simulated\n"
        "from jaxlab.experiment import Experiment\n"
        "from jaxlab.types import UserError\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class Mine(Flip):\n"
        "    def check(self):\n"
        "        if not isinstance(self, Component):\n"
        "            raise UserError('two classes of one name')\n"
        "experiment = Experiment(data=Simulated(), augment=(Mine(),))\n"
    )
    path = str(tmp_path / "old.py")
    code = (
        "import pathlib, sys; from jaxlab.core.config import load_file; "
        f"print(load_file(pathlib.Path({path!r})).augment)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "Mine(" in found.stdout, found.stderr

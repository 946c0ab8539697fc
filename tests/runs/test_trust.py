"""A run is data until its user says otherwise: no command runs the config.py in it unasked.

The kind: whatever loads a run, from Python or by any command, whose config.json names parts that only config.py, or a
module that was kept beside it, defines.
"""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import jaxlab
from jaxlab.cli.main import main
from jaxlab.core import beside
from jaxlab.core.beside import config_text
from jaxlab.core.config import Component, load_file, to_json
from jaxlab.core.types import UserError
from jaxlab.runs.checks import recorded
from jaxlab.training.rundir import RunDirectory

CONFIG = """
from pathlib import Path
Path({ran!r}).touch()
from planted_parts import Planted
from jaxlab.experiment import Experiment
experiment = Experiment(model=Planted(width=3))
"""
PARTS = """
from dataclasses import dataclass
from jaxlab.models import Model
from planted_widths import WIDEST

@dataclass(frozen=True, kw_only=True)
class Planted(Model):
    width: int = WIDEST

    def build(self, in_channels, rngs):
        from planted_late import late
        return late()
"""


@pytest.fixture
def ran(tmp_path):
    return tmp_path / "ran"


@pytest.fixture
def run(tmp_path, ran, monkeypatch):
    """A run as training leaves it, of a config with modules beside it, as it comes into another process and place."""
    home = tmp_path / "home"
    (home / "planted_package").mkdir(parents=True)
    (home / "mine.py").write_text(CONFIG.format(ran=str(ran)))
    (home / "planted_parts.py").write_text(PARTS)
    (home / "planted_widths.py").write_text("from planted_package.numbers import WIDEST\n")
    (home / "planted_package" / "__init__.py").write_text("")
    (home / "planted_package" / "numbers.py").write_text("WIDEST = 8\n")
    (home / "planted_late.py").write_text("late = dict\n")
    (home / "unrelated.py").write_text("raise SystemExit\n")
    experiment = load_file(home / "mine.py")
    rundir = RunDirectory(tmp_path / "run")
    rundir.create(to_json(experiment), config_text(home / "mine.py"), {"weights": None})
    home.rename(tmp_path / "gone")
    ran.unlink()
    monkeypatch.delitem(Component.types, "Planted")
    for name in [name for name in sys.modules if name.startswith("planted")]:
        monkeypatch.delitem(sys.modules, name)
    yield rundir.path
    Component.types.pop("Planted", None)
    Component.definitions.pop("Planted", None)
    beside._BESIDE.clear()


COMMANDS = {
    "predict": ["predict", "{run}", "--out", "{run}/../x.csv"],
    "evaluate": ["evaluate", "{run}"],
    "soup": ["soup", "{run}", "{run}", "--out", "{run}/../soup"],
    "bundle": ["bundle", "{run}", "--out", "{run}/../bundle"],
    "inspect": ["inspect", "{run}"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_runs_the_config_of_a_run_unasked(name, run, ran):
    result = CliRunner().invoke(main, [part.format(run=run) for part in COMMANDS[name]])
    assert not ran.exists()
    if name != "inspect":  # which shows the JSON
        assert "'Planted'" in result.output
        assert "--trust-config" in result.output
        assert result.exit_code == 1


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "inspect"])
def test_each_command_runs_it_where_the_user_says_so(name, run, ran):
    """What then fails is that this run has no checkpoints, or no data."""
    result = CliRunner().invoke(main, [*(part.format(run=run) for part in COMMANDS[name]), "--trust-config"])
    assert ran.exists()
    assert "'Planted'" not in result.output


def test_python_says_so_too_and_modules_come_with_the_run(run, ran):
    with pytest.raises(UserError, match=r"jaxlab\.load\(\.\.\., trust=True\)"):
        jaxlab.load(run)
    assert not ran.exists()
    with beside.trusting(True):
        experiment = recorded(RunDirectory(run))
    assert (experiment.model.width, type(experiment.model)().width) == (3, 8)
    assert experiment.model.build(3, None) == {}, "a module that is imported within a function"
    kept = sorted(path.relative_to(run / "modules").as_posix() for path in (run / "modules").rglob("*.py"))
    assert kept == [
        "planted_late.py", "planted_package/__init__.py", "planted_package/numbers.py", "planted_parts.py",
        "planted_widths.py",
    ]  # fmt: skip
    assert config_text(run / "config.py").modules.keys() == set(kept), "a soup of it keeps them as well"


def test_a_part_that_config_py_does_not_define_is_named_as_ever(run):
    config = json.loads((run / "config.json").read_text())
    (run / "config.py").unlink()
    assert config["experiment"]["model"]["type"] == "Planted"
    with pytest.raises(UserError, match=r"names a component 'Planted' that is not defined"):
        jaxlab.load(run, trust=True)


def test_modules_of_two_configs_may_have_one_name(tmp_path):
    text = "from jaxlab.experiment import Experiment\nfrom same import SEED\nexperiment = Experiment(seed=SEED)\n"
    for seed, folder in enumerate(("a", "b")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(text)
        (tmp_path / folder / "same.py").write_text(f"SEED = {seed}\n")
    path, beside._LAST[:] = list(sys.path), []
    assert [load_file(tmp_path / folder / "mine.py").seed for folder in "aba"] == [0, 1, 0]
    assert sys.path == [*path, str(tmp_path / "a")]
    assert config_text(tmp_path / "b" / "mine.py").modules == {"same.py": "SEED = 1\n"}
    assert not Path("same.py").exists()


def test_a_config_in_a_clone_does_not_take_all_of_jaxlab_along(tmp_path):
    for name in ("jaxlab", "submit", "helpers"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / "mine.py").write_text(
        "import helpers\nimport submit\nfrom jaxlab.experiment import Experiment\n"
    )
    assert config_text(tmp_path / "mine.py").modules == {"helpers/__init__.py": ""}

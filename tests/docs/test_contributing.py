"""The recipes of CONTRIBUTING.md, applied to a copy of the package: their own tests run there, and two steps train."""

import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from pages import ROOT
from PIL import Image
from recipes import apply, recipes, stated
from rich.console import Console
from safetensors.numpy import save_file

from jaxlab.core.config import load_file, override
from jaxlab.runs import api
from jaxlab.training import journal

TO_ADD = [recipe for recipe in recipes() if recipe.anchor in stated()]
_HELPERS = [path.name for path in (ROOT / "tests").glob("*.py") if not path.name.startswith("test_")]


def test_the_table_names_every_recipe_and_counts_its_files():
    assert len(TO_ADD) == 8
    assert stated() == {recipe.anchor: (len(recipe.files), len(recipe.new)) for recipe in TO_ADD}
    others = [recipe.title for recipe in recipes() if recipe not in TO_ADD]
    assert others == ["Without touching jaxlab"]


def test_every_recipe_brings_a_test():
    assert all(any(path.startswith("tests/") for path in recipe.files) for recipe in TO_ADD)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A copy of the packages, with every recipe applied."""
    copy = tmp_path_factory.mktemp("package")
    for room in ("jaxlab", "submit", "configs"):
        shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    (copy / "tests").mkdir()
    for name in _HELPERS:
        shutil.copy(ROOT / "tests" / name, copy / "tests")
    changed = {path for recipe in TO_ADD for path in recipe.files - recipe.new if path.startswith("tests/")}
    for path in changed:
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, copy / path)
    for recipe in TO_ADD:
        for block in recipe.blocks:
            apply(block, copy)
    return copy


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What mine.py trains on: images with responses beside them, and the network's weights."""
    here = tmp_path_factory.mktemp("sidecars")
    rng = np.random.default_rng(0)
    for number in range(24):
        pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(here / f"{number:02d}.png")
        np.save(here / f"{number:02d}.npy", rng.normal(size=3))
    weights = {"proj.weight": rng.normal(size=(8, 3, 4, 4)), "proj.bias": rng.normal(size=8)}
    save_file({name: leaf.astype(np.float32) for name, leaf in weights.items()}, here / "w.safetensors")
    return here


def mine(within: str) -> str:
    """The config of the page's last section, with what stands between its beginning and its end."""
    (own,) = (recipe for recipe in recipes() if recipe not in TO_ADD)
    first, last = (block.text for block in own.blocks)
    return f"{first}\n{within}\n{last}"


def classes() -> str:
    """Those of the first five recipes, as a config file has them: modules that are its own are not imported."""
    blocks = [block.text for recipe in TO_ADD[:5] for block in recipe.blocks if _is_code(block)]
    own = {path.removesuffix(".py").replace("/", ".") for recipe in TO_ADD for path in recipe.new}
    text = "\n\n".join(blocks)
    for module in own:
        text = re.sub(rf"^from {re.escape(module)} import .*\n", "", text, flags=re.MULTILINE)
    return text


def _is_code(block) -> bool:
    return block.path.startswith("jaxlab/") and bool(block.place)


@pytest.mark.slow
def test_a_copy_with_every_recipe_passes_their_tests_and_the_linter(package, folder):
    """And trains two steps with what five of them add, whose record has the score of the sixth."""
    names = {"data": "Noise, Sidecars", "heads": "MeanLinear", "losses": "Huber", "models": "Patches"}
    imports = "".join(f"from jaxlab.{room} import {what}\n" for room, what in names.items())
    config = mine(imports)
    assert config.count("Patches.family = FAMILY") == 1
    (package / "mine.py").write_text(config.replace("Patches.family = FAMILY", ""))
    settings = [f"data.root={folder}", f"model.pretrained={folder / 'w.safetensors'}"]
    (package / "tests/test_two_steps.py").write_text(
        "from jaxlab.cli.main import main\n"
        "from click.testing import CliRunner\n"
        "import jaxlab, pathlib\n"
        "def test_two_steps():\n"
        f"    assert pathlib.Path(jaxlab.__file__).is_relative_to({str(package)!r})\n"
        f"    sets = [word for one in {settings!r} for word in ('--set', one)]\n"
        f"    arguments = ['train', {str(package / 'mine.py')!r}, '--run', {str(package / 'run')!r}, *sets]\n"
        "    result = CliRunner().invoke(main, arguments, catch_exceptions=False)\n"
        "    assert result.exit_code == 0, result.output\n"
    )
    own = sorted(path for recipe in TO_ADD for path in recipe.files if path.startswith("tests/"))
    pytest_ = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/test_two_steps.py",
        *own,
    ]
    ran = subprocess.run(
        pytest_, cwd=package, env=os.environ | {"PYTHONPATH": str(package)}, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (validation,) = journal.read(package / "run/metrics.jsonl", "validation")
    assert {"pearson", "r2"} <= validation.keys()
    code = sorted({path for recipe in TO_ADD for path in recipe.files})
    for command in (["check"], ["format", "--check"]):
        linted = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *code], cwd=package, capture_output=True, text=True
        )
        assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.slow
def test_five_of_them_need_no_change_of_jaxlab(folder, tmp_path):
    """The same classes in a config file: trained with weights, and loaded again."""
    config = tmp_path / "mine.py"
    config.write_text(mine(classes()))
    settings = [f"data.root={folder}", f"model.pretrained={folder / 'w.safetensors'}"]
    experiment = override(load_file(config), settings)
    run = api.train(experiment, tmp_path / "run", source=config.read_text(), console=Console(quiet=True))
    loaded = api.load(run)
    images = np.zeros((2, 16, 16, 3), np.uint8)
    assert loaded.predict(images).shape == (2, 3)
    assert loaded.info["weights"]["layout"] == "PyTorch"

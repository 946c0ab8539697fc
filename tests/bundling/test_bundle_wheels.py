"""jaxlab's wheel out of installed files, and which of its dependencies an image lacks."""

import ast
import importlib.metadata
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import submit
from jaxlab.bundling import wheels
from jaxlab.types import UserError


@pytest.fixture
def wheel(tmp_path):
    return metadata_alone(tmp_path, "jax>=0.7.2", "ml-dtypes>=0.4", 'optuna>=4.0; extra == "sweep"')


def metadata_alone(folder, *needs):
    """A wheel of nothing that needs something."""
    path = folder / "jaxlab-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        lines = [f"Requires-Dist: {need}" for need in needs]
        file.writestr(
            "jaxlab-1.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: jaxlab\nVersion: 1\n" + "\n".join(lines),
        )
        file.writestr(
            "jaxlab-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr("jaxlab-1.dist-info/RECORD", "")
    return path


def test_only_what_is_new_enough_counts_as_there(wheel):
    image = {"jax": "0.7.1", "ml-dtypes": "0.5.4", "optuna": "3.0", "numpy": "1.0"}
    assert wheels._fitting(wheel, image) == {"ml-dtypes": "0.5.4", "optuna": "3.0", "numpy": "1.0"}


@pytest.mark.slow
def test_what_an_image_lacks_is_put_beside_the_wheel(tmp_path):
    """And what that needs in turn; for Kaggle's Python, not this one."""
    wheel = metadata_alone(tmp_path, "click>=8.3", "jaxtyping>=0.3", "numpy", 'optuna>=4.0; extra == "sweep"')
    freeze = tmp_path / "freeze.txt"
    freeze.write_text("click==8.0.1\nnumpy==2.3.5\n")
    try:
        lacking = wheels.lacking(wheel, freeze)
    except UserError as error:
        pytest.skip(f"a bundle needs a network: {error}")
    assert [pin.partition("==")[0] for pin in lacking] == ["click", "jaxtyping", "wadler-lindig"]
    beside = {file.name.split("-")[0] for file in tmp_path.glob("*.whl")}
    assert beside == {"jaxlab", "click", "jaxtyping", "wadler_lindig"}


def test_an_image_is_read_from_what_pip_freeze_prints(tmp_path):
    freeze = tmp_path / "freeze.txt"
    freeze.write_text("# Kaggle\nML_dtypes==0.5.4\nlearn.tools @ git+https://x/y\ntorch==2.10.0+cu128\n\n")
    assert wheels.read_image(freeze) == {"ml-dtypes": "0.5.4", "torch": "2.10.0+cu128"}
    freeze.write_text("numpy\n")
    with pytest.raises(
        UserError, match=r"freeze\.txt: expected what `pip freeze` prints, found no line such as"
    ):
        wheels.read_image(freeze)
    with pytest.raises(UserError, match=r"absent\.txt: expected what `pip freeze` prints \(.*No such file"):
        wheels.read_image(tmp_path / "absent.txt")


def test_submit_needs_nothing_that_kaggle_lacks():
    image = wheels.read_image(wheels._IMAGE)
    assert "jaxtyping" not in image
    imported = set()
    for file in Path(submit.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").partition(".")[0])
    assert "numpy" in imported
    assert imported - set(sys.stdlib_module_names) - {"submit"} <= image.keys()


def test_installed_files_become_a_wheel_that_pip_takes(tmp_path):
    files = {
        "jaxlab/__init__.py": "name = 'packed again'\n",
        "jaxlab/configs/a.py": "",
        "jaxlab-7.1.dist-info/METADATA": "Metadata-Version: 2.1\nName: jaxlab\nVersion: 7.1\n",
        "jaxlab-7.1.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "jaxlab-7.1.dist-info/INSTALLER": "pip",
        "jaxlab/__pycache__/__init__.cpython-311.pyc": "",
    }
    for name, text in files.items():
        (tmp_path / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "site" / name).write_text(text)
    record = tmp_path / "site/jaxlab-7.1.dist-info/RECORD"
    record.write_text(
        "".join(f"{name},,\n" for name in ["../bin/jaxlab", *files, f"{record.parent.name}/RECORD"])
    )
    wheel = wheels._packed(importlib.metadata.PathDistribution(record.parent), tmp_path)
    assert wheel.name == "jaxlab-7.1-py3-none-any.whl"
    assert zipfile.ZipFile(wheel).testzip() is None
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-index",
        "--target",
        str(tmp_path / "to"),
        str(wheel),
    ]
    subprocess.run(pip, check=True, capture_output=True)
    assert (tmp_path / "to/jaxlab/__init__.py").read_text() == files["jaxlab/__init__.py"]
    assert (tmp_path / "to/jaxlab/configs/a.py").is_file()


def test_pips_own_reason_is_given(tmp_path):
    with pytest.raises(UserError, match=r"pip wheel failed: .*nothing-here"):
        wheels._pip("wheel", "--no-index", str(tmp_path / "nothing-here"))

"""jaxlab's wheel out of installed files, and which of its dependencies an image lacks."""

import ast
import importlib.metadata
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import submit
from jaxlab.bundling import bundle, wheels
from jaxlab.core.types import UserError


@pytest.fixture
def wheel(tmp_path):
    return metadata_alone(tmp_path, "jax>=0.7.2", "ml-dtypes>=0.4", 'optuna>=4.0; extra == "sweep"')


def metadata_alone(folder, *needs, name="jaxlab", version="1"):
    """A wheel of nothing that needs something."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", "Provides-Extra: more"]
        lines += [f"Requires-Dist: {need}" for need in needs]
        kind = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        for entry, text in (("METADATA", "\n".join(lines)), ("WHEEL", kind), ("RECORD", "")):
            file.writestr(f"{name}-{version}.dist-info/{entry}", text)
    return path


def test_only_what_is_new_enough_counts_as_there(wheel):
    image = {"jax": "0.7.1", "ml-dtypes": "0.5.4", "optuna": "3.0", "numpy": "1.0"}
    assert wheels._fitting(wheel, image, ()) == {"ml-dtypes": "0.5.4", "optuna": "3.0", "numpy": "1.0"}
    assert wheels._fitting(wheel, image, ["sweep"]) == {"ml-dtypes": "0.5.4", "numpy": "1.0"}


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder of wheels, all that pip sees."""
    folder = tmp_path / "index"
    folder.mkdir()
    settings = {"NO_INDEX": "1", "FIND_LINKS": str(folder), "CONFIG_FILE": os.devnull}
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    for name, value in settings.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    return folder


def test_what_an_image_lacks_is_put_beside_the_wheel(tmp_path, index):
    """What is too old or not there, what that needs in turn, and by Kaggle's markers, whichever Python makes it."""
    here = ".".join(map(str, sys.version_info[:2]))
    other = f"python_version == '{wheels.PYTHON}' and python_version != '{here}'"
    wheel = metadata_alone(
        tmp_path, "aged>=2", "absent", "kept", "never; extra == 'more'", f"never; python_version < '{wheels.PYTHON}'",
        "never; sys_platform == 'darwin'", f"unforeseen; {other}",
    )  # fmt: skip
    for version in ("1", "2"):
        metadata_alone(index, name="aged", version=version)
        metadata_alone(index, name="kept", version=version)
    metadata_alone(index, "within[more]", name="absent")
    metadata_alone(index, f"deeper; extra == 'more' and python_version >= '{wheels.PYTHON}'", name="within")
    for name in ("never", "unforeseen", "deeper"):
        metadata_alone(index, name=name)
    freeze = tmp_path / "freeze.txt"
    freeze.write_text("aged==1\nkept==1\n")
    wanted = ["absent==1", "aged==2", "deeper==1", "within==1"]
    if here != wheels.PYTHON:
        wanted.insert(3, "unforeseen==1")
    assert wheels.lacking(wheel, freeze) == wanted
    beside = {
        file.name.removesuffix("-py3-none-any.whl").replace("-", "==") for file in tmp_path.glob("*.whl")
    }
    assert beside == {"jaxlab==1", *wanted}


def test_what_an_extra_needs_is_put_beside_the_wheel(tmp_path, index):
    """One that the runs need: what an image has in too old a version, and what that needs in turn."""
    wheel = metadata_alone(tmp_path, "quick>=2; extra == 'more'", "never; extra == 'less'")
    for version in ("1", "2"):
        metadata_alone(index, "within", name="quick", version=version)
    for name in ("never", "within"):
        metadata_alone(index, name=name)
    (tmp_path / "freeze.txt").write_text("quick==1\n")
    assert wheels.lacking(wheel, tmp_path / "freeze.txt", None, ["more"]) == ["quick==2", "within==1"]
    for file in tmp_path.glob("[qw]*.whl"):
        file.unlink()
    wheels.everything(wheel, None, ["more"])
    assert {file.name.split("-")[0] for file in tmp_path.glob("*.whl")} == {"jaxlab", "quick", "within"}


@pytest.mark.parametrize(
    ("make", "pins", "brought"),
    [
        (
            lambda wheel, own: wheels.lacking(wheel, python="3.13"),
            ["kept>=1.5", "jax==0.7.2"],
            ["absent==2", "new==2"],
        ),
        (
            lambda wheel, own: wheels.lacking(wheel, own, "3.13"),
            ["kept==1.5", "jax==0.7.2"],
            ["absent==2", "new==2"],
        ),
        (
            lambda wheel, own: wheels.lacking(wheel, python="3.12"),
            ["kept==1.5", "jax==0.7.2"],
            ["absent==2", "old==2"],
        ),
        (lambda wheel, own: wheels.everything(wheel, "3.13"), [], ["absent==2", "kept==2", "new==2"]),
    ],
    ids=["of a list of today's", "of its own list", "today's", "everything"],
)
def test_an_image_to_come_has_what_todays_has_as_old_or_newer(tmp_path, monkeypatch, make, pins, brought):
    """By the markers of its Python; a list of its packages says which versions it has."""
    needs = ["kept", "old; python_version < '3.13'", "new; python_version >= '3.13'", "absent"]
    wheel = metadata_alone(tmp_path, *needs)
    (tmp_path / "freeze.txt").write_text("kept==1.5\njax==0.7.2\n")
    monkeypatch.setattr(wheels, "_IMAGE", tmp_path / "freeze.txt")
    fetched = []

    def pip(command, *arguments):
        assert arguments[arguments.index("--python-version") + 1] == (
            "3.12" if "old==2" in brought else "3.13"
        )
        if command == "download":
            fetched.extend(one for one in arguments if "==" in one)
            return
        assert Path(arguments[arguments.index("--constraint") + 1]).read_text().split() == pins
        found = [{"name": "jaxlab", "version": "1", "requires_dist": needs}]
        found += [{"name": name, "version": "2"} for name in ("kept", "old", "new", "absent")]
        report = {"install": [{"metadata": one} for one in found]}
        Path(arguments[arguments.index("--report") + 1]).write_text(json.dumps(report))

    monkeypatch.setattr(wheels, "_pip", pip)
    make(wheel, tmp_path / "freeze.txt")
    assert fetched == brought


@pytest.mark.parametrize("python", ["3.10", "2.7", "3", "4.1", "3.13.1", "new"])
def test_a_python_that_jaxlab_does_not_run_on_is_refused(tmp_path, python):
    with pytest.raises(UserError, match=r"--python: expected 3.11 or newer, such as 3.13, found"):
        bundle([tmp_path], tmp_path / "out", python=python)


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


def test_an_index_that_is_not_reached_is_said(tmp_path, index, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    for name, value in {"INDEX_URL": "http://127.0.0.1:9/simple", "RETRIES": "1"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    with pytest.raises(
        UserError, match=r"pip download failed: no network, where a bundle needs one.*refused"
    ):
        wheels.everything(metadata_alone(tmp_path, "absent"))

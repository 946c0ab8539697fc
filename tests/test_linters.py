"""What `make check` relies on: shapes in signatures blind neither ruff nor mypy to a name that is not there."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

SETTINGS = Path(__file__).parents[1] / "pyproject.toml"
SIGNED = '''"""A shape in a signature is no name in the function."""

{imports}


def first(x: Float[Array, " b"], y: Float[Array, "b t"], z: Float[Array, "*shape"]) -> Float[Array, "b t"]:
    return [x, y, z{value}]
'''
COMMANDS = {
    "ruff": ["ruff", "check", "--no-cache", "--output-format", "concise", "--config", str(SETTINGS)],
    "mypy": ["mypy", "--no-incremental", "--config-file", str(SETTINGS)],
}
IMPORTS = {
    "ruff": "from jaxtyping import Array, Float",
    # What jaxtyping says of itself to mypy, which would read NumPy and JAX for half a minute to learn it.
    "mypy": "from typing import Annotated as Float\n\nArray = list",
}


def complaints(tool: str, folder: Path, value: str = "") -> list[str]:
    """What a tool, with the project's settings, says of a module of jaxlab that returns `value` too."""
    (folder / "jaxlab").mkdir()
    (folder / "jaxlab" / "__init__.py").touch()
    (folder / "jaxlab" / "signed.py").write_text(SIGNED.format(imports=IMPORTS[tool], value=value))
    command = [sys.executable, "-m", *COMMANDS[tool], "jaxlab/signed.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return [line for line in done.stdout.splitlines() if "signed.py:" in line]


@pytest.mark.parametrize("tool", COMMANDS)
def test_a_name_that_is_not_there_is_found(tool: str, tmp_path: Path) -> None:
    found = complaints(tool, tmp_path, ", b, t, shape")
    names = [re.search(r"(?:Undefined name `|Name \")(\w+)", line) for line in found]
    assert [name and name[1] for name in names] == ["b", "t", "shape"], found


@pytest.mark.parametrize("tool", COMMANDS)
def test_shapes_themselves_are_no_fault(tool: str, tmp_path: Path) -> None:
    assert complaints(tool, tmp_path) == []


WRITES = ("open", "read_text", "write_text")


def in_text(call: ast.Call) -> bool:
    """Whether a call of these names reads or writes text, by the locale's encoding unless one is given."""
    given = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
    named = {keyword.arg for keyword in call.keywords}
    if isinstance(call.func, ast.Name):
        return call.func.id == "open" and not named & {"encoding"} and not any("b" in str(v) for v in given)
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in WRITES or named & {"encoding"}:
        return False
    if call.func.attr == "open":  # what others' `open` takes is no mode
        mode = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else None
        return isinstance(mode, str) and set(mode) <= set("rwax+t")
    return not any(value in ("utf-8", "utf-8-sig") for value in given)


@pytest.mark.parametrize("room", ["jaxlab", "submit", "tools"])
def test_every_text_file_is_utf_8_whatever_the_locale(room):
    """What ruff's PLW1514 cannot see, for it knows few things to be a Path."""
    root = SETTINGS.parent
    found = [
        f"{path.relative_to(root)}:{node.lineno}"
        for path in sorted((root / room).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and in_text(node)
    ]
    assert not found

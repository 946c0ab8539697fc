"""Who may import whom, and what an import does not bring along."""

import ast
import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_rooms_import_downwards_only():
    """The contracts of pyproject.toml."""
    found = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout + found.stderr
    assert "0 broken" in found.stdout


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        (
            "import submit, submit.cli.main, submit.formats.kaggle, submit.ensemble",
            ("jax", "jaxlab", "flax", "optax", "orbax"),
        ),
        ("import submit", ("numpy", "pandas", "scipy")),
        ("import jaxlab", ("jax", "flax", "numpy", "pandas", "scipy")),
        ("import jaxlab.cli.main", ("jax", "flax", "orbax", "grain", "matplotlib")),
        (  # what a config imports: a mistake in one is told within the second
            "import jaxlab.data, jaxlab.encode, jaxlab.experiment, jaxlab.heads, jaxlab.losses, jaxlab.models, "
            "jaxlab.optim, jaxlab.pretext",
            (
                "pandas",
                "pyarrow",
                "scipy",
                "orbax",
                "grain",
                "matplotlib",
                "sqlalchemy",
                "optuna",
                "transformers",
            ),
        ),
    ],
    ids=["submit's rooms", "submit", "jaxlab", "jaxlab.cli.main", "a config"],
)
def test_import_leaves_out(statement, absent):
    program = f"import sys; {statement}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert not set(absent) & set(found.stdout.split())


def test_what_tools_import_from_the_packages_is_there():
    """Nobody runs most of them between two releases."""
    missing = []
    for path in sorted((ROOT / "tools").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("jaxlab", "submit"):
                module = importlib.import_module(str(node.module))
                names = [alias.name for alias in node.names if not hasattr(module, alias.name)]
                missing += [
                    f"{path.name}: {node.module}.{name}"
                    for name in names
                    if importlib.util.find_spec(f"{node.module}.{name}") is None
                ]
    assert missing == []

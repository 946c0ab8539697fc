"""The floors of the house, as the import-linter contract in pyproject.toml has them."""

import importlib
import inspect
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def floors() -> list[list[str]]:
    """The rooms of each floor, the lowest first."""
    contracts = tomllib.loads(PYPROJECT.read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [layer.split(" | ") for layer in reversed(layers)]


def table() -> str:
    """Markdown: floor, room, what it is for."""
    lines = ["| floor | room | what it is for |", "|---|---|---|"]
    for number, rooms in enumerate(floors()):
        for room in rooms:
            lines.append(f"| {number} | `{room}` | {_purpose(room)} |")
    return "\n".join(lines) + "\n"


def _purpose(room: str) -> str:
    first = (inspect.getdoc(importlib.import_module(room)) or "").split("\n\n")[0]
    return " ".join(first.split()).replace("|", "\\|")


def write(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "floors.md").write_text(table(), "utf-8")

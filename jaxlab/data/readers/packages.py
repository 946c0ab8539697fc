"""Data that come inside a package from PyPI, found without running the package's code or needing what it needs."""

import importlib.util
from pathlib import Path

from jaxlab.core.types import UserError


def packaged(package: str, path: str, extra: str) -> Path:
    """The file or folder `path` of an installed package. Raises UserError that names the extra to install."""
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec is not None else None
    if not folders:
        raise UserError(f"these data come with the package {package}: pip install 'jaxlab[{extra}]'")
    found = Path(folders[0]) / path
    if not found.exists():
        raise UserError(
            f"{found}: missing; another version of {package} may have it: pip install 'jaxlab[{extra}]'"
        )
    return found

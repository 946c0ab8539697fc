"""The sidecar of a submission: how the file came to be."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from submit.files import atomic


def keep(path: str | Path, provenance: Mapping[str, Any], scores: Mapping[str, Any] | None = None) -> Path:
    """Writes `<file>.provenance.json` beside the submission at `path`."""
    sidecar = Path(f"{path}.provenance.json")
    content = {"provenance": dict(provenance), "scores": dict(scores or {})}
    with atomic(sidecar) as file:
        file.write(json.dumps(content, indent=2).encode())
    return sidecar

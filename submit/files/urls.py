"""Which paths are URLs, and what is said where none may be."""

import re
from pathlib import Path

from submit.errors import SubmissionError

# As jaxlab.core.remote.store has it, which does not wait for what submit imports.
_URL = re.compile(r"([a-z][a-z0-9+.-]+):/{1,2}(?!/)(.+)")  # pathlib makes one slash of two


def url_of(path: str | Path | None) -> str | None:
    """What was given, as a URL; None where it is a path. A letter alone is a drive."""
    found = _URL.fullmatch(str(path)) if path is not None else None
    return f"{found[1]}://{found[2].rstrip('/')}" if found else None


def refuse_url(path: str | Path) -> None:
    """Raises SubmissionError where `path` is a URL: written as it is, it would be a folder "s3:" here."""
    if (url := url_of(path)) is not None:
        raise SubmissionError(
            f"{url}: expected a path on this machine, found a URL, which only a run directory may be; write it here, "
            "and copy it there (aws s3 cp, gcloud storage cp)"
        )

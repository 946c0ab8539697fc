"""URLs without the passwords in them, as files and messages have them."""

import re

_IN_QUERY = re.compile(r"([?&][^=&]*(?:pass|pwd|secret|token|key)[^=&]*=)[^&]*", re.IGNORECASE)
_OF_USER = re.compile(
    r"(?<=://)([^:/?#@]*):.*@", re.DOTALL
)  # a password may have a / or @, though it should not


def without_passwords(text: str) -> str:
    """A URL, or an argument that has one, with `***` for a password of its user or in its query."""
    return _OF_USER.sub(r"\1:***@", _IN_QUERY.sub(r"\1***", text))

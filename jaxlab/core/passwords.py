"""URLs without the passwords in them, as files and messages have them; and whether there are any."""

import re

_IN_QUERY = re.compile(r"([?&][^=&]*(?:pass|pwd|secret|token|key)[^=&]*=)[^&]*", re.IGNORECASE)
_OF_USER = re.compile(
    r"(?<=://)([^:/?#@]*):.*@", re.DOTALL
)  # a password may have a / or @, though it should not
_PORT = re.compile(r"(?<=://)([^:/?#@]*):\d+(?=/)")


def without_passwords(text: str) -> str:
    """A URL, or an argument that has one, with `***` for a password of its user or in its query."""
    return _OF_USER.sub(r"\1:***@", _IN_QUERY.sub(r"\1***", text))


def has_password(url: str) -> bool:
    """What stands behind a host's colon, with an @ somewhere in the path, is a port where it is a number."""
    bare = _PORT.sub(r"\1", url)
    return without_passwords(bare) != bare

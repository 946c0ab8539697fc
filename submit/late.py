"""Libraries that reading a config does not need, imported when they are first used: what is wrong is then said at once.

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = Late("pandas")
"""

import importlib
from typing import Any


class Late:
    """Stands for the module `name`, which is imported when one of its attributes is asked for."""

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith(
            "__"
        ):  # of tools that look at every module's names; none of them uses the library
            raise AttributeError(f"{self._name} is not imported yet, so that it has no {attribute!r}")
        return getattr(importlib.import_module(self._name), attribute)

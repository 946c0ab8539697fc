"""How PyTorch programs usually name the weights of a LeNet-5: conv1, conv2, fc1, fc2, fc3."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from jaxlab.models.lenet import LeNet5
from jaxlab.weights.family import Family
from jaxlab.weights.match import KeyLayout, KeyRule
from jaxlab.weights.rules import classifier, conv, linear


def layout(config: LeNet5, keys: Iterable[str]) -> KeyLayout:
    """The only one, whatever the keys."""

    def turned(array: np.ndarray) -> np.ndarray:
        """PyTorch flattens (channel, row, column), we (row, column, channel)."""
        if array.shape[1] % 16:
            return array
        maps = array.reshape(len(array), 16, -1)
        return maps.transpose(2, 1, 0).reshape(-1, len(array))

    _, fc1_bias = linear("fc1", "fc1")
    rules = (
        *conv(r"conv([12])", r"conv\1", bias=True),
        KeyRule(r"fc1\.weight", "fc1.kernel", turned),
        fc1_bias,
    )
    last, skips = classifier("fc3", "fc3", config.classes)
    return KeyLayout("PyTorch", (*rules, *linear("fc2", "fc2"), *last), skips, "conv1.weight")


def hint(config: LeNet5, arrays: Mapping[str, Any], found: KeyLayout) -> str:
    """What the file seems to hold, where that is a LeNet-5 for images of another size, or none at all."""
    kernel = arrays.get("fc1.weight")
    if kernel is None or kernel.ndim != 2:
        return "The file does not look like a LeNet-5 with conv1, conv2, fc1, fc2 and fc3"
    grid = round((kernel.shape[1] / 16) ** 0.5)
    if grid == config.grid or 16 * grid**2 != kernel.shape[1]:
        return ""
    return f"The file looks like LeNet5(grid={grid}), the config is LeNet5(grid={config.grid})"


FAMILY = Family(  # no library writes metadata
    name="lenet",
    models=(LeNet5,),
    layout=layout,
    stem="conv1.kernel",
    classifier="fc3",
    hint=hint,
)

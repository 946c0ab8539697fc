"""Make the small reference outputs in tests/golden/ with PyTorch, torchvision, timm and transformers.

None of these is a dependency: run it in an environment of its own, `python tools/golden.py [name ...]`, and commit
what it writes. The networks' weights come from a seed (tests/weights/seeded.py), so only outputs are stored.
"""

import json
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "tests" / "golden"
sys.path.insert(0, str(ROOT / "tests" / "weights"))
import seeded  # noqa: E402

IMAGES = (2, 66, 50, 3)  # no multiple of 32 and not square: wrong padding or swapped axes show
CLASSES = 50


def declare_missing_ops() -> None:
    """PyPI's torchvision is built against another torch and fails to import unless these operators exist."""
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    globals()["_library"] = library  # the operators live as long as this object


# -- ResNets -------------------------------------------------------------------------------------------------


def torchvision_resnet(depth: int) -> tuple[torch.nn.Module, dict[str, str]]:
    """The model, and the module whose output is each feature."""
    import torchvision

    model = getattr(torchvision.models, f"resnet{depth}")(weights=None, num_classes=CLASSES)
    return model, {"stem": "relu", **{f"layer{k}": f"layer{k}" for k in range(1, 5)}}


def timm_resnet(depth: int) -> tuple[torch.nn.Module, dict[str, str]]:
    import timm

    model = timm.create_model(f"resnet{depth}", pretrained=False, num_classes=CLASSES)
    return model, {"stem": "act1", **{f"layer{k}": f"layer{k}" for k in range(1, 5)}}


def transformers_resnet(depth: int) -> tuple[torch.nn.Module, dict[str, str]]:
    from transformers import ResNetConfig, ResNetForImageClassification

    deep = depth == 50
    config = ResNetConfig(
        depths={18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3]}[depth],
        hidden_sizes=[256, 512, 1024, 2048] if deep else [64, 128, 256, 512],
        layer_type="bottleneck" if deep else "basic",
        num_labels=CLASSES,
    )
    stages = {f"layer{k + 1}": f"resnet.encoder.stages.{k}" for k in range(4)}
    return ResNetForImageClassification(config), {"stem": "resnet.embedder.embedder", **stages}


def resnet(layout: str, depth: int) -> dict[str, np.ndarray]:
    """Keys and shapes of the state dict, and each stage's summary and the logits for seeded weights."""
    model, stages = {
        "torchvision": torchvision_resnet,
        "timm": timm_resnet,
        "transformers": transformers_resnet,
    }[layout](depth)
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    weights = {key: torch.from_numpy(value) for key, value in seeded.state_dict(shapes).items()}
    model.load_state_dict(weights, strict=True)
    model.eval()
    found: dict[str, np.ndarray] = {}

    def keep(stage: str) -> Callable[[Any, Any, Any], None]:
        def hook(_module: Any, _inputs: Any, output: torch.Tensor) -> None:
            if stage not in found:  # torchvision's and timm's stem activation has a name of its own
                features = output.numpy().transpose(0, 2, 3, 1).copy()
                found[stage] = features

        return hook

    for stage, name in stages.items():
        model.get_submodule(name).register_forward_hook(keep(stage))
    with torch.no_grad():
        output = model(torch.from_numpy(seeded.images(IMAGES).transpose(0, 3, 1, 2).copy()))
    logits = output if isinstance(output, torch.Tensor) else output.logits
    arrays = {f"{stage}.{kind}": a for stage, f in found.items() for kind, a in seeded.summary(f).items()}
    listed = json.dumps({key: list(shape) for key, shape in shapes.items()})
    return {"shapes": np.array(listed), "logits": logits.numpy(), **arrays}


# -- layers --------------------------------------------------------------------------------------------------


def layers() -> dict[str, np.ndarray]:
    """Batch norm in training, two steps with running statistics and gradients; and max-pooling with ties."""
    x = seeded.uniform("x", (6, 5, 4, 3), -1, 3)
    dy = seeded.uniform("dy", x.shape, -1, 1)
    norm = torch.nn.BatchNorm2d(3)
    with torch.no_grad():
        norm.weight.copy_(torch.from_numpy(seeded.uniform("scale", (3,), 0.5, 1.5)))
        norm.bias.copy_(torch.from_numpy(seeded.uniform("bias", (3,), -1, 1)))
    found = {
        "x": x,
        "dy": dy,
        "scale": norm.weight.detach().numpy().copy(),
        "bias": norm.bias.detach().numpy().copy(),
    }
    nchw = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).requires_grad_()
    y = norm(nchw)
    y.backward(torch.from_numpy(dy.transpose(0, 3, 1, 2).copy()))
    norm(nchw.detach() * 2 + 1)
    found |= {"y": _nhwc(y), "dx": _nhwc(nchw.grad), "dscale": norm.weight.grad.numpy()}
    found |= {
        "dbias": norm.bias.grad.numpy(),
        "mean": norm.running_mean.numpy(),
        "var": norm.running_var.numpy(),
    }
    norm.eval()
    found["y_eval"] = _nhwc(norm(nchw))
    for name, size in (("even", (8, 6)), ("odd", (7, 5))):
        ties = np.floor(seeded.uniform(name, (2, *size, 3), 0, 3))
        image = torch.from_numpy(ties.transpose(0, 3, 1, 2).copy()).requires_grad_()
        pooled = torch.nn.functional.max_pool2d(image, 3, 2, 1)
        slope = seeded.uniform("slope", tuple(_nhwc(pooled).shape), -1, 1)
        pooled.backward(torch.from_numpy(slope.transpose(0, 3, 1, 2).copy()))
        found |= {
            f"{name}.x": ties,
            f"{name}.y": _nhwc(pooled),
            f"{name}.dy": slope,
            f"{name}.dx": _nhwc(image.grad),
        }
    return found


def _nhwc(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().numpy().transpose(0, 2, 3, 1).copy()


# -- files of torch.save -------------------------------------------------------------------------------------


def torch_files() -> None:
    """Tiny files in both of torch.save's formats, with the views and dtypes that state dicts hold."""
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    state = OrderedDict(
        base=base,
        transposed=base.T,
        part=base[1:3, ::2],
        parameter=torch.nn.Parameter(torch.tensor([1.5, -2.5])),
        half=torch.tensor([[0.5, 65504.0]], dtype=torch.float16),
        bfloat=torch.tensor([1.0, 3.140625], dtype=torch.bfloat16),
        double=torch.tensor([1e-300], dtype=torch.float64),
        count=torch.tensor(7),
        flags=torch.tensor([True, False]),
        empty=torch.zeros(0, 3),
    )
    torch.save(state, OUT / "tiny.pt")
    torch.save(state, OUT / "tiny_legacy.pth", _use_new_zipfile_serialization=False)
    momentum = {"momentum": torch.ones(5)}
    checkpoint = {"epoch": 3, "optimizer": momentum, "state_dict": state}
    torch.save(checkpoint, OUT / "tiny_checkpoint.pth", _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Linear(2, 1), OUT / "tiny_module.pt")
    values = {key: value.detach().float().numpy() for key, value in state.items() if key != "double"}
    np.savez_compressed(OUT / "tiny.npz", **values, double=state["double"].numpy())


def main() -> None:
    declare_missing_ops()
    torch.set_num_threads(1)
    OUT.mkdir(exist_ok=True)
    jobs: dict[str, Callable[[], dict[str, np.ndarray]]] = {"layers": layers}
    for layout in ("torchvision", "timm", "transformers"):
        for depth in (18, 34, 50):
            jobs[f"resnet{depth}_{layout}"] = lambda layout=layout, depth=depth: resnet(layout, depth)  # type: ignore[misc]
    for name in sys.argv[1:] or [*jobs, "torch_files"]:
        if name == "torch_files":
            torch_files()
            continue
        np.savez_compressed(OUT / f"{name}.npz", **jobs[name]())
        print(f"{name}: {(OUT / f'{name}.npz').stat().st_size} bytes")


if __name__ == "__main__":
    main()

"""Goldens of layers, and files of torch.save."""

from collections import OrderedDict

import numpy as np
import torch
from golden_common import OUT, Job, nhwc
from reference import seeded


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
    found |= {"y": nhwc(y), "dx": nhwc(nchw.grad), "dscale": norm.weight.grad.numpy()}
    found |= {
        "dbias": norm.bias.grad.numpy(),
        "mean": norm.running_mean.numpy(),
        "var": norm.running_var.numpy(),
    }
    norm.eval()
    found["y_eval"] = nhwc(norm(nchw))
    for name, size in (("even", (8, 6)), ("odd", (7, 5))):
        ties = np.floor(seeded.uniform(name, (2, *size, 3), 0, 3))
        image = torch.from_numpy(ties.transpose(0, 3, 1, 2).copy()).requires_grad_()
        pooled = torch.nn.functional.max_pool2d(image, 3, 2, 1)
        slope = seeded.uniform("slope", tuple(nhwc(pooled).shape), -1, 1)
        pooled.backward(torch.from_numpy(slope.transpose(0, 3, 1, 2).copy()))
        found |= {
            f"{name}.x": ties,
            f"{name}.y": nhwc(pooled),
            f"{name}.dy": slope,
            f"{name}.dx": nhwc(image.grad),
        }
    return found


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


JOBS: dict[str, Job] = {"layers": layers}

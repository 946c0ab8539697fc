"""Make the small reference outputs in tests/reference/goldens/ with PyTorch, torchvision, timm and transformers.

None of these is a dependency: run it in an environment of its own, `python tools/golden.py [name ...]`, and commit
what it writes. The networks' weights come from a seed (tests/reference/seeded.py), so only outputs are stored.
"""

import sys

import golden_bert
import golden_common
import golden_efficientnet
import golden_layers
import golden_lenet
import golden_mobilenetv2
import golden_resnet
import golden_shufflenet
import golden_vit
import numpy as np
import torch

FAMILIES = (
    golden_bert,
    golden_efficientnet,
    golden_layers,
    golden_lenet,
    golden_mobilenetv2,
    golden_resnet,
    golden_shufflenet,
    golden_vit,
)


def main() -> None:
    golden_common.declare_missing_ops()
    torch.set_num_threads(1)
    out = golden_common.OUT
    out.mkdir(exist_ok=True)
    jobs = {name: job for family in FAMILIES for name, job in family.JOBS.items()}
    for name in sys.argv[1:] or [*jobs, "torch_files"]:
        if name == "torch_files":
            golden_layers.torch_files()
            continue
        np.savez_compressed(out / f"{name}.npz", **jobs[name]())
        print(f"{name}: {(out / f'{name}.npz').stat().st_size} bytes")


if __name__ == "__main__":
    main()

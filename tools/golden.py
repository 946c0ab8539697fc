"""Make the small reference outputs in tests/reference/goldens/ with PyTorch, torchvision, timm and transformers.

None of these is a dependency: run it in an environment of its own, `python tools/golden.py [name ...]`, and commit
what it writes. The networks' weights come from a seed (tests/reference/seeded.py), so only outputs are stored.
"""

import sys
from importlib import import_module
from pathlib import Path

import golden_common
import golden_layers
import numpy as np
import torch

OTHERS = ("golden_common", "golden_real")  # what all use; what needs packages of weights


def jobs() -> dict[str, golden_common.Job]:
    """Those of golden_layers.py and of each family's golden_<name>.py, a name of jaxlab.weights.FAMILIES."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("golden_*.py"))
    modules = [import_module(name) for name in names if name not in OTHERS]
    return {name: job for module in modules for name, job in module.JOBS.items()}


def main() -> None:
    golden_common.declare_missing_ops()
    torch.set_num_threads(1)
    out = golden_common.OUT
    out.mkdir(exist_ok=True)
    known = jobs()
    for name in sys.argv[1:] or [*known, "torch_files"]:
        if name == "torch_files":
            golden_layers.torch_files()
            continue
        np.savez_compressed(out / f"{name}.npz", **known[name]())
        print(f"{name}: {(out / f'{name}.npz').stat().st_size} bytes")


if __name__ == "__main__":
    main()

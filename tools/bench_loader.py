"""Loading in images/s beside torch's DataLoader: JPEG decoding and resizing to 224 pixels, on the same two cores.

bench.py calls `measure`; run as a script with a case as JSON it is one side: epochs of batches (16, 224, 224, 3) uint8.
jaxlab decodes every image in the first epoch, resized by Pillow or (images.resizing="fast") by cykooz-resizer, and has
later ones in memory; torch's DataLoader, with two workers that stay, decodes in every epoch. Torch's side needs torch,
numpy and Pillow.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from bench_process import Worker, serve

Row = dict[str, Any]
SIZES = ((320, 240), (425, 425))  # width and height of the stored images
SIDE, BATCH, WORKERS = 224, 16, 2


def measure(quick: bool, repeats: int, torch_python: str | None) -> list[Row]:
    """A row for each size of stored images: images/s of each repeat. The sides take turns."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for width, height in SIZES:
            case = {"root": f"{folder}/{width}", "images": 48 if quick else 1600}
            _write(Path(case["root"]), case["images"], (width, height))
            rows.append(
                {"stored": f"{width} x {height}", **_rates(case, 1 if quick else repeats, torch_python)}
            )
    return rows


def _write(folder: Path, count: int, size: tuple[int, int]) -> None:
    """Natural structure and some noise, so that files are as large as photographs' and differ."""
    import numpy as np
    from PIL import Image

    folder.mkdir()
    rng = np.random.default_rng(0)
    for k in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        image = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), np.int16)
        noise = rng.integers(-6, 7, image.shape, dtype=np.int16)
        Image.fromarray(np.clip(image + noise, 0, 255).astype(np.uint8)).save(
            folder / f"{k:05d}.jpg", quality=90
        )


def _rates(case: Row, repeats: int, torch_python: str | None) -> Row:
    """{side: {pass: images/s of each repeat}, "version"}."""
    sides = {"jaxlab": sys.executable, **({} if torch_python is None else {"torch": torch_python})}
    with ExitStack() as stack:
        workers = {
            side: stack.enter_context(Worker("bench_loader.py", {**case, "side": side}, python))
            for side, python in sides.items()
        }
        found: Row = {side: {"version": worker.ready["version"]} for side, worker in workers.items()}
        passes = {side: worker.ready["passes"] for side, worker in workers.items()}
        for side, worker in workers.items():
            found[side] |= {name: [] for name in passes[side]}
            for name in passes[side]:  # starts workers and fills the disk's cache
                worker.ask(name, 1)
        for _ in range(repeats):
            for side, worker in workers.items():
                for name in passes[side]:
                    found[side][name].append(case["images"] / worker.ask(name, 1)["seconds"])
    if "torch" in found:
        torch = median(found["torch"]["every"])
        found["ratio"] = {name: median(found["jaxlab"][name]) / torch for name in ("first", "fast")}
    return found


HEADER = (
    "stored JPEG",
    "jaxlab, first epoch images/s",
    "the same, resizing=fast",
    "later epochs",
    "torch, every epoch",
    "ratios of the first",
)


def table(rows: list[Row]) -> list[tuple[str, ...]]:
    return [
        (
            f"{row['stored']} -> {SIDE} px, batch {BATCH}",
            f"{median(row['jaxlab']['first']):,.0f}",
            f"{median(row['jaxlab']['fast']):,.0f}",
            f"{median(row['jaxlab']['later']):,.0f}",
            f"{median(row['torch']['every']):,.0f}" if "torch" in row else "",
            ", ".join(f"{ratio:.2f}" for ratio in row["ratio"].values()) if "ratio" in row else "",
        )
        for row in rows
    ]


# -- the measured processes ------------------------------------------------------------------------------------


def main() -> None:
    case = json.loads(sys.argv[1])
    if hasattr(os, "sched_setaffinity"):  # before threads and processes start; they inherit it
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:WORKERS])
    (_jaxlab if case["side"] == "jaxlab" else _torch)(case)


def _jaxlab(case: Row) -> None:
    import numpy as np
    import PIL

    import jaxlab
    from jaxlab.data import Batches, Images, decode, file_samples, list_folder

    jaxlab.prepare()
    folder = list_folder(Path(case["root"]))
    samples = file_samples(np.array(list(folder.by_stem)), list(folder.by_name.values()))
    how = Images(size=(SIDE, SIDE), filter="bilinear")
    images = decode(samples, np.arange(len(samples)), how)

    def epoch(images: np.ndarray) -> None:
        batches = Batches(images, {}, BATCH, 0)
        stream: Any = batches.iterate()
        _check(next(stream)["image"] for _ in range(batches.steps_per_epoch))
        stream.close()

    fast = replace(how, resizing="fast")
    actions = {
        "first": lambda _: epoch(decode(samples, np.arange(len(samples)), how)),
        "fast": lambda _: epoch(decode(samples, np.arange(len(samples)), fast)),
        "later": lambda _: epoch(images),
    }
    version = f"jaxlab {jaxlab.__version__}, Pillow {PIL.__version__}"
    serve({"version": version, "passes": list(actions)}, actions)


def _torch(case: Row) -> None:
    import numpy as np
    import PIL
    import torch
    from PIL import Image

    files = sorted(Path(case["root"]).iterdir())

    class Files(torch.utils.data.Dataset):
        """As jaxlab resizes: the whole image, bilinear and antialiased."""

        def __len__(self) -> int:
            return len(files)

        def __getitem__(self, position: int) -> torch.Tensor:
            with Image.open(files[position]) as image:
                small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
            return torch.from_numpy(np.array(small))

    loader = torch.utils.data.DataLoader(
        Files(), BATCH, shuffle=True, num_workers=WORKERS, drop_last=True, persistent_workers=True
    )
    version = f"torch {torch.__version__}, Pillow {PIL.__version__}"
    serve({"version": version, "passes": ["every"]}, {"every": lambda _: _check(batch for batch in loader)})


def _check(batches: Iterator[Any]) -> None:
    for batch in batches:
        assert tuple(batch.shape) == (BATCH, SIDE, SIDE, 3)


if __name__ == "__main__":
    main()

"""Train steps and forward passes a second, jaxlab beside PyTorch: repeats alternate, medians are compared."""

import math
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from bench_process import Worker

Row = dict[str, Any]
PAUSE = 0.3  # seconds between repeats, in which the other side's idle threads stop spinning


PRETRAINED = ("resnet18", "resnet50", "efficientnet_lite0", "vit_tiny", "shufflenet_x1_0")
SIZES = dict.fromkeys(PRETRAINED, ((224, 16),)) | {"shallow_cnn": ((56, 50), (112, 50))}  # pixels, batch


# Train steps of another kind: sharpness-aware, and of two objectives, numbers and ten classes.
STEPS = {"resnet18": ("plain", "sam", "two objectives")}


def cases(quick: bool, models: Sequence[str] = ()) -> list[Row]:
    """What is measured of `models`, or of all: model, size, batch, targets, classes, and the kind of step."""
    models = models or (("resnet18", "shallow_cnn") if quick else tuple(SIZES))
    return [
        {
            "model": model, "size": size, "batch": batch, "targets": 40, "step": step,
            "classes": 10 if step == "two objectives" else 0,
        }
        for model in models
        for size, batch in (((32, 4),) if quick else SIZES[model])
        for step in STEPS.get(model, ("plain",))
    ]  # fmt: skip


def measure(quick: bool, repeats: int, torch_python: str | None, models: Sequence[str] = ()) -> list[Row]:
    """A row for each case and pass. seconds: of one repeat."""
    torch_python = with_torch(torch_python, "steps")
    seconds = 0.2 if quick else 4.0
    return [row for case in cases(quick, models) for row in _case(case, repeats, seconds, torch_python)]


def jaxlab_worker(case: Row) -> Worker:
    """With an empty compilation cache, so that the first call compiles."""
    with tempfile.TemporaryDirectory() as cache:
        return Worker("bench_jaxlab.py", case, JAXLAB_CACHE=cache)


def rates(workers: dict[str, Worker], name: str, batch: int, repeats: int, seconds: float) -> dict[str, Row]:
    """{worker: images/s of each repeat, the cores it kept busy, its peak memory}; the repeats of all take turns."""
    counts = {}
    for key, worker in workers.items():
        worker.ask(name, 2)
        counts[key] = max(2, math.ceil(seconds / worker.ask(name, 2)["seconds"] * 2))
    found: dict[str, Row] = {
        key: {"images_per_second": [], "cores_busy": [], "peak_gb": []} for key in workers
    }
    for _ in range(repeats):
        for key, worker in workers.items():
            time.sleep(PAUSE)
            took = worker.ask(name, counts[key])
            found[key]["images_per_second"].append(batch * counts[key] / took["seconds"])
            found[key]["cores_busy"].append(took["cpu_seconds"] / took["seconds"])
            found[key]["peak_gb"].append(took["peak_gb"])
    return found


def _case(case: Row, repeats: int, seconds: float, torch_python: str | None) -> list[Row]:
    rows = []
    with ExitStack() as stack:
        workers = {"jaxlab": stack.enter_context(jaxlab_worker(case))}
        if torch_python is not None:
            workers["torch"] = stack.enter_context(Worker("bench_torch.py", case, torch_python))
        counts = {key: worker.ready["parameters"] for key, worker in workers.items()}
        if len(set(counts.values())) > 1:
            raise SystemExit(f"{case['model']}: the two sides differ in parameters: {counts}")
        for name in ("train", "forward") if case["step"] == "plain" else ("train",):
            found = rates(workers, name, case["batch"], repeats, seconds)
            for key, worker in workers.items():
                found[key] |= {
                    "first_call_seconds": worker.ready["first_call"][name],
                    "version": worker.ready["version"],
                    "how": worker.ready["how"],
                }
            rows.append({**case, "pass": name, "parameters": counts["jaxlab"], **found, **_ratio(found)})
    return rows


def _ratio(found: dict[str, Row]) -> Row:
    medians = {key: statistics.median(side["images_per_second"]) for key, side in found.items()}
    return {"ratio": medians["jaxlab"] / medians["torch"]} if "torch" in medians else {}


def with_torch(python: str | None, part: str) -> str | None:
    """`python`, or None where it has no torch, which is said of the `part`."""
    if python is None:
        print(f"{part}: no --torch-python, so jaxlab alone")
        return None
    if subprocess.run([python, "-c", "import torch"], capture_output=True, check=False).returncode:
        print(f"{part}: {python} cannot import torch, so jaxlab alone")
        return None
    return python


HEADER = (
    "model",
    "pass",
    "jaxlab images/s",
    "torch images/s",
    "ratio",
    "first call s",
    "cores busy",
    "peak GB",
)


def table(rows: list[Row]) -> list[tuple[str, ...]]:
    """A line for each row: medians, with the lowest and highest repeat."""
    lines = []
    for row in rows:
        sides = [row[key] for key in ("jaxlab", "torch") if key in row]
        speeds = [spread(side["images_per_second"]) for side in sides]
        lines.append((
            f"{row['model']} {row['size']} px, batch {row['batch']}",
            row["pass"] if row["step"] == "plain" else f"{row['pass']}, {row['step']}",
            speeds[0],
            speeds[1] if len(speeds) > 1 else "",
            f"{row['ratio']:.2f}" if "ratio" in row else "",
            " / ".join(f"{side['first_call_seconds']:.1f}" for side in sides),
            " / ".join(f"{statistics.median(side['cores_busy']):.2f}" for side in sides),
            " / ".join(f"{max(side['peak_gb']):.2f}" for side in sides),
        ))  # fmt: skip
    return lines


def spread(values: list[float]) -> str:
    """Median (lowest .. highest)."""
    return f"{statistics.median(values):,.1f} ({min(values):,.1f} .. {max(values):,.1f})"

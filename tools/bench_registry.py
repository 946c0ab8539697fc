"""How long the registry takes with 100,000 snapshots: to list, to claim, to be told, and to be made of run directories.

python tools/bench_registry.py [--runs 2000] [--each 50] [--registry postgresql+psycopg://...]
"""

import argparse
import multiprocessing
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/runs"))
from fake_runs import CONFIG, checkpoint, fake_run, validated

from jaxlab.runs.registry.claims import Claims
from jaxlab.runs.registry.listing import chosen, lines_of
from jaxlab.runs.registry.place import Place, place_of
from jaxlab.runs.registry.records import RunRecord, SnapshotRecord
from jaxlab.runs.registry.reports import Reports
from jaxlab.runs.registry.store import Registry
from jaxlab.runs.registry.watch import note_directories
from jaxlab.training.checkpoint import Saved

SCORES = dict.fromkeys(
    ("loss", "pearson", "pearson_median", "explained_variance", "mse", "spread_ratio"), 0.5
)


def timed(what: str, does, times: int = 5) -> None:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        does()
        taken.append(time.perf_counter() - began)
    print(f"{what:58s} {1e3 * np.median(taken):9.1f} ms")


def filled(registry: Registry, folder: Path, runs: int, each: int) -> None:
    """As many runs, of each snapshot but the last validated."""
    records = []
    for number in range(runs):
        snapshots = tuple(
            SnapshotRecord(
                step,
                step,
                "validated" if step < each else "pending",
                "ab" * 32,
                SCORES if step < each else {},
            )
            for step in range(1, each + 1)
        )
        config = CONFIG | {"seed": number}
        run = RunRecord(folder / f"run{number}", None, "Experiment", config, "ab" * 32, "stopped", each, 2 * each, each,
                        "pearson", number % (each - 1) + 1, time.time(), time.time(), "host", 1, snapshots)  # fmt: skip
        records.append((run, range(1, each + 1)))
    registry.note(records)


def inserts(place: Place, folder: Path, number: int, count: int, out) -> None:
    """What a trainer tells at each checkpoint, again and again."""
    registry = Registry(place)
    run = RunRecord(folder / f"inserting{number}", None, "Experiment", CONFIG, "", "training")
    taken = []
    for step in range(1, count + 1):
        new = replace(run, snapshots=(SnapshotRecord(step, step, "pending", "ab" * 32),), step=step)
        began = time.perf_counter()
        registry.note([(new, (step - 1, step))])
        taken.append(time.perf_counter() - began)
    out.put(taken)


def told(folder: Path) -> None:
    """What the thread that writes checkpoints spends on a row, and the first time."""
    run = fake_run(folder / "told")
    with Reports(run, print) as reports:
        for step in range(1, 51):
            checkpoint(run, step, awaits="pearson")
            began = time.perf_counter()
            reports(Saved(run / "checkpoints" / str(step)), None)
            if step == 1:
                print(f"{'the first row of a training':58s} {1e3 * (time.perf_counter() - began):9.1f} ms")
        timed("another row of a training", lambda: reports(Saved(run / "checkpoints/50"), None), 50)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--each", type=int, default=50)
    parser.add_argument("--registry", default="")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench_registry"))
    place = Place(given.registry) if given.registry else place_of(folder)
    registry = Registry(place)
    print(f"{registry.engine.dialect.name}, {given.runs} runs of {given.each} snapshots")
    timed("all of them written", lambda: filled(registry, folder, given.runs, given.each), 1)
    timed("all runs listed, with configs and best scores", lambda: lines_of(registry))
    lines = lines_of(registry)
    timed("--where over all of them", lambda: chosen(lines, "pearson > 0.4 and optimizer.lr < 1", None), 1)
    timed("how many wait", registry.waiting)
    claims = Claims(registry)
    timed("a pending one found and claimed", claims.take, 50)
    context = multiprocessing.get_context("forkserver")
    out = context.Queue()
    count = 100
    workers = [context.Process(target=inserts, args=(place, folder, k, count, out)) for k in range(8)]
    for worker in workers:
        worker.start()
    taken = np.concatenate([out.get() for _ in workers])
    for worker in workers:
        worker.join()
    for share in (50, 99):
        what = f"a row from each of 8 processes at once, {share} % of them"
        print(f"{what:58s} {1e3 * np.percentile(taken, share):9.1f} ms")
    told(folder / "telling")
    shutil.rmtree(folder)
    folder.mkdir()
    for number in range(given.runs):
        run = fake_run(folder / f"run{number}")
        validated(run, **{f"s{step}": SCORES for step in range(1, given.each)})
        best = {"metric": "pearson", "value": 0.5, "step": 1, "epoch": 1}
        for step in range(1, given.each + 1):
            checkpoint(run, step, best=best)
    again = Registry(place if given.registry else place_of(folder))
    timed("made anew of the run directories", lambda: note_directories(again, folder), 1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()

"""Two trainers, three watchers that are killed at random: every snapshot is validated once.

    python tools/kill_watchers.py [--snapshots 60] [--kills 25] [--registry postgresql+psycopg://...] [--seed 0]

Trainers write checkpoints without arrays and tell the registry as training does; a validation is a pause. Of each
evaluation begin and end are logged: no two of one snapshot by watchers that both live, none kept twice, none missing.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/runs"))
from fake_runs import FakeValidate, checkpoint, fake_run

from jaxlab.runs.registry.place import Place, place_of
from jaxlab.runs.registry.reports import Reports
from jaxlab.runs.registry.store import Registry
from jaxlab.runs.registry.watch import Watcher, note_directories
from jaxlab.training import elsewhere
from jaxlab.training.checkpoint import Saved, retain

PAUSE = 0.2  # seconds between two checkpoints of a trainer


def note(log: Path, what: str, run: str, step: int) -> None:
    number = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(number, f"{what} {run} {step} {os.getpid()} {time.time()}\n".encode())
    os.close(number)


class Slow(FakeValidate):
    """Takes up to a quarter of a second, and logs when."""

    def __call__(self, run: Path, step: int):
        note(self.log, "begin", run.name, step)
        meta = json.loads((run / "checkpoints" / str(step) / "meta.json").read_text("utf-8"))
        time.sleep(random.uniform(0.02, 0.25))
        note(self.log, "end", run.name, step)
        return meta, {"loss": 1 / step, "pearson": -abs(step - 20)}


def watch(folder: Path, log: Path, url: str) -> None:
    place = Place(url) if url else place_of(folder)

    def say(line: str) -> None:
        if ":" in line and " step " in line:
            run, _, rest = line.partition(" step ")
            note(log, "kept", Path(run).name, int(rest.partition(":")[0]))
        else:
            print(line, flush=True)

    Watcher(Registry(place), folder, Slow(log), say, poll=0.05).run(watch=True)


def train(run: Path, snapshots: int, url: str) -> None:
    fake_run(run)
    place = Place(url) if url else place_of(run.parent)
    with Reports(run, print, place) as reports:
        for step in range(1, snapshots + 1):
            checkpoint(run, step, steps=snapshots, awaits="pearson")
            saved = Saved(run / "checkpoints" / str(step))
            retain(run / "checkpoints", saved.meta(), None, print)
            reports(saved, None)
            time.sleep(PAUSE)


def faults(folder: Path, log: Path, snapshots: int, died: dict[int, float]) -> list[str]:
    """What is not as it should be."""
    found, evaluations, kept = [], defaultdict(list), defaultdict(int)
    for line in log.read_text(encoding="utf-8").splitlines():
        what, run, step, pid, moment = line.split()
        key = (run, int(step))
        if what == "begin":
            evaluations[key].append([int(pid), float(moment), died.get(int(pid), float("inf"))])
        elif what == "end":
            evaluations[key][-1][2] = float(moment)
        else:
            kept[key] += 1
    for run in ("a", "b"):
        there = elsewhere.kept(folder / run)
        found += [f"{run} {step} is not validated" for step in range(1, snapshots + 1) if step not in there]
    for key, times in evaluations.items():
        for (_, _, end), (_, begin, _) in itertools.pairwise(times):
            if begin < end:
                found.append(f"{key} was validated by two at once")
        if kept[key] > 1:
            found.append(f"{key} was kept {kept[key]} times")
        if len(times) > 1 and not any(pid in died for pid, *_ in times[:-1]):
            found.append(f"{key} was validated {len(times)} times, though nobody died")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, default in (("snapshots", 60), ("kills", 25), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--registry", default="")
    given = parser.parse_args()
    rng = random.Random(given.seed)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["jaxlab.runs.registry.watch", "jaxlab.runs.registry.reports"])
    folder = Path(tempfile.mkdtemp(prefix="kill_watchers"))
    log, url = folder / "log", given.registry
    log.touch()

    def begun(does, *arguments):
        process = context.Process(target=does, args=arguments)
        process.start()
        return process

    trainers = [begun(train, folder / name, given.snapshots, url) for name in ("a", "b")]
    watchers = [begun(watch, folder, log, url) for _ in range(3)]
    died: dict[int, float] = {}
    for _ in range(given.kills):
        busy = log.read_text(encoding="utf-8").count("begin") + rng.randrange(1, 4)
        since = time.time()  # among those who have begun to validate, else one is killed anyway
        while log.read_text(encoding="utf-8").count("begin") < busy and time.time() - since < 2:
            time.sleep(0.005)
        number = rng.randrange(3)
        os.kill(watchers[number].pid, signal.SIGKILL)
        watchers[number].join()
        died[watchers[number].pid] = time.time()
        watchers[number] = begun(watch, folder, log, url)
    for trainer in trainers:
        trainer.join()
    registry = Registry(Place(url) if url else place_of(folder))
    name = registry.place.name(folder)
    since = time.time()
    while sum(registry.waiting().values()) and time.time() - since < 120:
        time.sleep(0.2)
    for watcher in watchers:
        os.kill(watcher.pid, signal.SIGTERM)
        watcher.join()
    wrong = faults(folder, log, given.snapshots, died)
    best = {row.path.rpartition("/")[2]: row.best for row in registry.runs("" if name == "." else name)}
    if any(step != min(20, given.snapshots) for step in best.values()):
        wrong.append(f"the best are {best}")
    if any(watcher.exitcode for watcher in watchers):
        wrong.append(f"watchers ended with {[watcher.exitcode for watcher in watchers]}")
    written = log.read_text(encoding="utf-8")
    cut = written.count("begin") - written.count("end")
    print(
        f"{2 * given.snapshots} snapshots, {given.kills} watchers killed, {cut} while they validated; best {best}"
    )
    note_directories(registry, folder)
    print("\n".join(wrong) or "each is validated once")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()

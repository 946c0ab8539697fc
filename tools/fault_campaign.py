"""A small training that is hit, again and again, by whatever may befall one: what comes of it is what came undisturbed.

    python tools/fault_campaign.py [--hits 1000] [--seed 0] [--jobs 2] [--kinds WORDS] [--json FILE] [--keep FOLDER]

Processes are killed, by time and in the middle of saves, compilations and restores; signalled, stopped, started twice;
disks fill up, files are cut and bits flipped; runs are moved. After each hit, or a few, the same command goes on until
the run is done. Counted by kind are work lost beyond the last save; checkpoints, records and descriptions that differ
from those of an undisturbed run, parameters and optimizer state bit by bit; processes that do not end; tracebacks; and
runs that cannot go on. All are to be 0. The seed gives the same stories; when a process is hit depends on the machine.
"""

import argparse
import itertools
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from fault_disks import DISKS, FILES, can_mount
from fault_kinds import ALONE, CHAINED, Hit
from fault_scene import COUNTED, Finding, Missed, Scene, Story

from jaxlab.core.types import FileWarning

CONFIG = '''"""A network of one layer on random images, with all that could differ after a resume."""

from jaxlab.data import Arrays, Flip, Images, Shift
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.models import ShallowCNN
from jaxlab.optim import AdamW, Cosine

experiment = Experiment(
    data=Arrays(),
    images=Images(memory_budget_gb=1e-9),  # so that they are kept in the cache
    augment=(Flip(), Shift(pixels=2)),
    model=ShallowCNN(channels=(4,), kernel_sizes=(3,), dropout=0.2),
    head=Linear(layer="level1", dropout=0.2),
    optimizer=AdamW(lr=1e-2, schedule=Cosine(warmup_steps=2)),
    training=Training(epochs=3, batch_size=8, checkpoint_steps=3, ema=0.9, parallel="single"),
)
'''
IN_A_ROW = 4  # hits of one chain
DECK = ("chain", "alone", "file", "file", "chain", "disk", "file", "chain", "alone", "file")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--hits", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--kinds", default="", help="only those whose names have these words")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", type=Path, help="a folder for the runs of which something is amiss")
    given = parser.parse_args()
    warnings.simplefilter("ignore", FileWarning)  # of damaged records, which are compared
    os.environ.pop(
        "JAX_COMPILATION_CACHE_DIR", None
    )  # compiled programs lie in the cache, where they can be damaged
    with tempfile.TemporaryDirectory(prefix="faults") as folder:
        scene = prepared(Path(folder))
        done = campaign(scene, given.hits, given.seed, given.jobs, given.kinds, given.keep)
    print(table(done))
    if given.json is not None:
        given.json.write_text(json.dumps(done, indent=1), "utf-8")
    sys.exit(1 if done["findings"] else 0)


def prepared(folder: Path) -> Scene:
    """The data, the undisturbed run and the one that is half done."""
    config, data = folder / "config.py", folder / "arrays.npz"
    config.write_text(CONFIG, "utf-8")
    rng = np.random.default_rng(7)
    images = rng.integers(0, 256, (44, 16, 16, 3), dtype=np.uint8)
    np.savez(data, images=images, targets=rng.normal(size=(44, 5)).astype(np.float32))
    scene = Scene(
        folder, ["train", str(config)], data, folder / "cache", folder / "whole/run", folder / "half/run", 60
    )
    return timed(scene)


def timed(scene: Scene) -> Scene:
    """With the undisturbed run and the half one, where they are not there, and the time that a process takes."""
    for name in ("whole", "half"):
        run: Path = getattr(scene, name)
        if run.exists():
            continue
        run.parent.mkdir()
        story = Story(scene, run, random.Random(0), f"the {name} run")
        codes = (0,) if name == "whole" else (-signal.SIGKILL,)
        began = time.monotonic()
        with story.start(*(() if name == "whole" else ("save", 3.99))) as process:
            story.ended(process, codes)
        if story.findings:
            raise SystemExit(f"{story.findings}")
        scene = Scene(**{**vars(scene), "seconds": time.monotonic() - began})
    return scene


def campaign(
    scene: Scene, hits: int, seed: int, jobs: int, words: str = "", keep: Path | None = None
) -> dict:
    """Stories until there were so many hits. Returns {"hits": {kind: how many}, "findings", "skipped", "seconds"}."""
    began, counted, findings = time.monotonic(), Counter(), []
    why = can_mount(scene.folder / "mount")
    decks = {"chain": CHAINED, "alone": ALONE, "file": FILES, "disk": {} if why else DISKS}
    decks = {name: {kind: hit for kind, hit in deck.items() if words in kind} for name, deck in decks.items()}
    plots = enumerate(stories(decks, seed))
    with ThreadPoolExecutor(jobs) as pool:
        running = set()
        while (total := sum(counted.values())) < hits or running:
            while total < hits and len(running) < jobs:
                number, (turn, kinds) = next(plots)
                hits_of = {kind: decks[turn][kind] for kind in kinds}
                running.add(pool.submit(told, scene, f"{seed}/{number}", turn, hits_of, keep))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for story in done:
                met, found = story.result()
                counted.update(met)
                findings += found
                for one in found:
                    print(f"{one.kind}: {one.what}: {one.detail}", flush=True)
    skipped = {kind: why for kind in DISKS if words in kind} if why else {}
    seconds = time.monotonic() - began
    return {
        "hits": dict(counted),
        "findings": [vars(one) for one in findings],
        "skipped": skipped,
        "seconds": seconds,
    }


def stories(decks: dict[str, dict[str, Hit]], seed: int) -> Iterator[tuple[str, list[str]]]:
    """Without end: the deck, and its kinds; of chains some at random, of the others one after another."""
    rng, turns = random.Random(seed), [turn for turn in DECK if decks[turn]]
    others = {turn: itertools.cycle(decks[turn]) for turn in turns}
    for turn in itertools.cycle(turns):
        chain = rng.sample(list(decks[turn]), min(IN_A_ROW, len(decks[turn])))
        yield turn, chain if turn == "chain" else [next(others[turn])]


def told(
    scene: Scene, name: str, turn: str, hits: dict[str, Hit], keep: Path | None
) -> tuple[Counter, list[Finding]]:
    """One story: what hit, and what is amiss."""
    rng = random.Random(name)
    folder = scene.folder / f"story{name.replace('/', '-')}"
    folder.mkdir()
    story, met = Story(scene, folder / "run", rng), Counter()
    if turn == "alone" and rng.random() < 0.7:
        story.from_half()
    try:
        for story.kind, hit in hits.items():
            story.look()
            try:
                hit(story)
            except Missed:
                break
            met[story.kind] += 1
        if turn != "disk":
            story.finish()
    except TimeoutError:
        met[story.kind] += 1
    except Exception:  # of this tool, which goes on with others
        story.found("stuck", traceback.format_exc())
    if story.findings and keep is not None:
        left = shutil.ignore_patterns("cache")
        shutil.copytree(folder, keep / folder.name, dirs_exist_ok=True, ignore=left)
        (keep / folder.name / "log.txt").write_text("\n".join(story.log), "utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    return met, story.findings


def table(done: dict) -> str:
    """In Markdown, a line for each kind."""
    heads = ("work lost", "results that differ", "hangs", "tracebacks", "cannot go on")
    lines = [f"| what hit | times | {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) + 1)}"]
    order = [kind for deck in (CHAINED, ALONE, DISKS, FILES) for kind in deck if kind in done["hits"]]
    amiss = Counter((one["kind"], one["what"]) for one in done["findings"])
    for kind in order:
        lines.append(
            f"| {kind} | {done['hits'][kind]} | {' | '.join(str(amiss[kind, one]) for one in COUNTED)} |"
        )
    totals = [sum(amiss[kind, one] for kind in order) for one in COUNTED]
    lines.append(f"| **all** | {sum(done['hits'].values())} | {' | '.join(map(str, totals))} |")
    lines += [f"\n{kind}: left out, {why}" for kind, why in done["skipped"].items()]
    return "\n".join(lines) + f"\n\n{done['seconds'] / 60:.1f} minutes"


if __name__ == "__main__":
    main()

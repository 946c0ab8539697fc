"""The template of a bundle's notebook: never imported, only read, by cells.py."""

# %% [markdown]
# # From a bundle of runs to submission.csv, without a network
#
# Made by `jaxlab bundle`. Add the bundle and the competition to this notebook as inputs, then run all cells.

# %%
DATA = None  # the competition's folder; None: wherever a sample_submission.csv is found
LEARN = True  # weights, where all runs keep predictions of labelled samples; else:
WEIGHTS: dict[str, float] = {}  # of each run in the mean
SETTINGS: list[str] = []  # further fields of every run's config, as in --set: ["data.test_images=images"]

# %%
import hashlib
import json
import subprocess
import sys
from pathlib import Path


def holding(name):
    """The folder with the file `name`: this one, or the nearest below /kaggle/input."""
    for depth in ("", "*/", "*/*/", "*/*/*/"):
        found = [Path(name)] if not depth else sorted(Path("/kaggle/input").glob(depth + name))
        if found and found[0].is_file():
            return found[0].parent.absolute()
    raise FileNotFoundError(
        f"no {name} here or below /kaggle/input: add its dataset to this notebook as an input"
    )


def sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


BUNDLE = holding("bundle.json")
DATA = Path(DATA or holding("sample_submission.csv"))
made = json.loads((BUNDLE / "bundle.json").read_text("utf-8"))
damaged = [
    name
    for name, expected in made["files"].items()
    if not (BUNDLE / name).is_file() or sha256(BUNDLE / name) != expected
]
if damaged:
    raise ValueError(f"{BUNDLE}: these files are not as they were made, upload them again: {damaged[:5]}")
print(f"bundle {BUNDLE}: {', '.join(run['name'] for run in made['runs'])}\ndata   {DATA}")

# %% [markdown]
# Install: what is here already, as JAX is on Kaggle, stays as it is. JAX and what drives a GPU or TPU go together, and
# are held at their versions: where these are too old, pip says so and changes nothing.

# %%
import contextlib
from importlib import metadata

held = []
for name in ("jax", "jaxlib", "libtpu", "libtpu-nightly", "jax-cuda12-plugin", "jax-cuda13-plugin"):
    with contextlib.suppress(metadata.PackageNotFoundError):
        held.append(f"{name}=={metadata.version(name)}")
Path("held.txt").write_text("\n".join(held), "utf-8")
wheels = ["--no-index", "--find-links", str(BUNDLE / "wheels"), "--constraint", "held.txt"]
done = subprocess.run(
    [sys.executable, "-m", "pip", "install", *wheels, f"jaxlab[{','.join(made['extras'])}]"],
    capture_output=True,
    encoding="utf-8",
    errors="replace",
)
Path("held.txt").unlink()
print("\n".join(done.stdout.splitlines()[-1:]))
if done.returncode:
    raise RuntimeError(f"pip could not install the bundle's wheels:\n{done.stderr}")

# %% [markdown]
# Predict the test images with each run (the mean of its folds, where it has some).

# %%
import jax
import jaxlab
import numpy as np
import submit

jaxlab.prepare()  # all cores, and memory kept, before JAX starts
predicted = {}
for run in made["runs"]:
    settings = [f"{field}={BUNDLE / place}" for field, place in run["weights"].items()]
    settings += [f"{field}={DATA}" for field in run["roots"]] + SETTINGS
    loaded = jaxlab.load(BUNDLE / run["path"], settings, trust=True)  # whoever made the bundle made the runs
    predicted[run["name"]] = loaded.predict_split("test", run["which"])
    predicted[run["name"]].save(f"{run['name']}.npz")
print(f"jaxlab {jaxlab.__version__}, JAX {jax.__version__} on {jax.devices()[0].device_kind}")

# %% [markdown]
# Combine. What learns is learned from labelled samples, each predicted by a network that has not seen it, and scored by
# cross-validation: the best single run, the mean, greedy selection, selection by target or
# stacking, whichever is best.


# %%
def learned():
    """The best combination of the runs, learned from their predictions of labelled samples; or None."""
    files = [run["labelled"] for run in made["runs"]]
    if not LEARN or len(files) < 2 or not all(files):
        return None
    try:
        train, names = loaded.opened.train, np.array(loaded.targets)
        if loaded.kind == "regression":
            truth = submit.Predictions(train.ids, train.target, names, split="")
        else:
            truth = submit.Labels(train.ids, np.append(names, "another class")[train.label])  # -1 is another
        known = [submit.Predictions.load(BUNDLE / file) for file in files]
        return submit.ensemble.best(known, truth, names=list(predicted))
    except (jaxlab.UserError, submit.SubmissionError) as error:
        print(f"no weights are learned: {error}")


if best := learned():
    together = best.apply(predicted.values(), list(predicted))
    mean_over_targets = best.by_target().mean(0).tolist()  # stacking gives each target weights of its own
    WEIGHTS = dict(zip(predicted, mean_over_targets, strict=True))
    scores = ", ".join(f"{way} {score:.4f}" for way, score in best.scores.items())
    print(
        f"{best.samples:,} labelled samples; {best.metric}, cross-validated: {scores}; taken: {best.method}"
    )
else:
    together = submit.weighted(predicted.values(), [WEIGHTS[name] for name in predicted], list(predicted))
    print(f"weighted mean, {WEIGHTS}")

# %% [markdown]
# The submission: every fault is named, or all of it is written.

# %%
sample = loaded.test[1]
submit.write(together, "submission.csv", sample)
faults = [] if sample is None else submit.check("submission.csv", sample)
if faults:
    raise ValueError("submission.csv: " + "; ".join(faults))
against = f"checked against {sample}" if sample else "with no sample submission to check against"
print(f"submission.csv: {len(together.ids):,} rows x {len(together.targets):,} columns, {against}")

# %% [markdown]
# What it is made of, and what it looks like.

# %%
import matplotlib.pyplot as plt
import pandas as pd


def flat(predictions):
    return submit.align(predictions, together.ids, together.targets).values.ravel()


table = pd.DataFrame({"weight": WEIGHTS})
table["checkpoints"] = [" ".join(one["digest"][:12] for one in run["checkpoints"]) for run in made["runs"]]
table["r with the ensemble"] = [np.corrcoef(flat(one), flat(together))[0, 1] for one in predicted.values()]
print(table.to_string())

figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
if together.kind == "regression":
    order = np.argsort(together.values.mean(0))
    low, lower, median, upper, high = np.quantile(
        together.values[:, order], [0.05, 0.25, 0.5, 0.75, 0.95], axis=0
    )
    axes.fill_between(range(len(order)), low, high, color="C0", alpha=0.15, label="5 % to 95 % of images")
    axes.fill_between(range(len(order)), lower, upper, color="C0", alpha=0.3, label="25 % to 75 %")
    axes.plot(median, color="C0", label="median")
    axes.set(xlabel="target, by its mean", ylabel="predicted", title="submission.csv")
    axes.legend(frameon=False)
else:
    axes.bar(together.targets, np.bincount(together.values.argmax(1), minlength=len(together.targets)))
    axes.set(ylabel="images", title="submission.csv")
axes.spines[["top", "right"]].set_visible(False)
plt.show()

"""The template of a results notebook: never imported, only read, by cells.py."""

# %% [markdown]
# # Results
#
# Made by `jaxlab report --notebook`. The same that the page shows, and below it the numbers to go on from.

# %%
RUNS: list[str] = []  # run directories: one in full, or several side by side
SETTINGS: list[str] = []  # overrides, as in --set: ["data.root=FOLDER"]
OPTIONS: dict = {}  # as jaxlab.report.results.report.report takes them: {"quick": True}

# %%
import numpy as np
import pandas as pd
from IPython.display import display

from jaxlab.report.results.report import report
from jaxlab.training.runtime import prepare

prepare()  # all cores, and memory kept, before JAX starts
found = report(RUNS, SETTINGS, log=print, **OPTIONS)
print(f"{found.title}\n{found.lead}")

# %% [markdown]
# Each section shows itself; `found.sections` has them all, and `found.write("report.html")` makes the page.

# %%
for section in found.sections:
    display(section)

# %% [markdown]
# The predictions behind it, of samples that a run did not learn, beside their truth: `values` and `truth` have a row
# for each of `predictions.ids`.

# %%
for run, evidence in zip(RUNS, found.evidence, strict=True):
    if evidence is None:
        print(f"{run}: no predictions of labelled samples")
        continue
    scores = vars(evidence.found)
    if "each" in scores:
        print(f"{run}: {len(evidence.rows):,} samples, scores by target")
        display(pd.DataFrame(scores["each"], index=scores["targets"]).describe())
    else:
        right = evidence.values.argmax(1) == evidence.truth
        print(f"{run}: {len(evidence.rows):,} samples, accuracy {np.mean(right):.4f}")
        display(pd.DataFrame(scores["classes"]))

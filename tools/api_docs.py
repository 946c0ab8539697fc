"""Write docs/api.md: every public name of jaxlab and submit, its signature, its docstring and a worked line.

    python tools/api_docs.py

What a module offers is its `__all__`, else the public functions and classes that it defines. A test holds the page
to the code, and runs the lines of `submit`.
"""

import ast
import importlib
import inspect
import re
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

MODULES = (
    "jaxlab",
    "submit",
    "submit.ensemble",
    "submit.metrics",
    "submit.ceilings",
    "submit.bootstrap",
    "submit.provenance",
    "submit.algonauts",
    "submit.algonauts2021",
    "submit.vqa_results",
    "submit.sensorium",
)
PAGE = Path(__file__).parents[1] / "docs/api.md"

EXAMPLES = {
    "jaxlab.Experiment": "experiment = jaxlab.Experiment(data=KaggleTable(root=FOLDER), images=Images(size=(56, 56)))",
    "jaxlab.Run": 'run = jaxlab.load("runs/mine")\nrun.predict_split("test").save("test.npz")',
    "jaxlab.Training": "training = jaxlab.Training(epochs=40, batch_size=50, ema=0.99)",
    "jaxlab.UserError": "try:\n    jaxlab.load(path)\nexcept jaxlab.UserError as e:\n    print(e)",
    "jaxlab.bundle": 'jaxlab.bundle(["runs/a", "runs/b"], "my-bundle", data="/kaggle/input/my-competition")',
    "jaxlab.load": 'values = jaxlab.load("runs/mine", ["data.root=FOLDER"]).predict("images/")  # (n, t)',
    "jaxlab.train": 'path = jaxlab.train(experiment, "runs/mine")',
    "jaxlab.Folds": 'jaxlab.train(jaxlab.Folds(experiment=experiment, folds=5), "runs/folds")',
    "jaxlab.soup": 'jaxlab.soup(["runs/a", "runs/b", "runs/c"], "runs/soup", greedy=True)',
    "submit.rank_average": "both = submit.rank_average([predictions, others])",
    "submit.trimmed_mean": "middle = submit.trimmed_mean([predictions, others, third], share=0.34)",
    "submit.metrics.algonauts2021": 'submit.metrics.algonauts2021(submit.metrics.pearson(pred, truth), ceiling, {"V1": ceiling > 0.5})',
    "submit.metrics.algonauts2023": "submit.metrics.algonauts2023(submit.metrics.pearson(pred, truth), ceiling)  # (t,) percent",
    "submit.metrics.algonauts2023_challenge": "submit.metrics.algonauts2023_challenge([lh_scores, rh_scores])",
    "submit.metrics.among_top": "submit.metrics.among_top(pred, np.array([0, 1]), k=2)",
    "submit.metrics.confusion_matrix": "submit.metrics.confusion_matrix(np.array([0, 1, 1]), np.array([0, 1, 2]))",
    "submit.metrics.correlation_to_average": "submit.metrics.correlation_to_average(simulated, repeats)  # (t,)",
    "submit.metrics.feve": "submit.metrics.feve(simulated, repeats)  # (t,)",
    "submit.metrics.noise_corrected_r2": "submit.metrics.noise_corrected_r2(simulated, repeats)  # (t,)",
    "submit.metrics.nx414_correlation": "submit.metrics.nx414_correlation(submit.metrics.pearson(pred, truth), 100 * ceiling)",
    "submit.metrics.nx414_variance": "submit.metrics.nx414_variance(submit.metrics.explained_variance(pred, truth), 100 * ceiling)",
    "submit.metrics.precision_recall_f1": 'submit.metrics.precision_recall_f1(np.array([0, 1, 1]), np.array([0, 1, 2]), "macro")',
    "submit.metrics.rates": "submit.metrics.rates(np.array([3, 0]), np.array([4, 1]), np.array([4, 1]))  # from counts by class",
    "submit.metrics.shares": "submit.metrics.shares(ceiling, targets=3)",
    "submit.metrics.single_trial_correlation": "submit.metrics.single_trial_correlation(simulated, repeats)  # (t,)",
    "submit.metrics.vqa_accuracy": 'submit.metrics.vqa_accuracy(["two"], [["2", "two", "three"]])  # (n,)',
    "submit.ensemble.Combination": "learned = submit.ensemble.best([validation, noisy], truth_of)\nlearned.weights, learned.scores",
    "submit.ensemble.best": "submit.ensemble.best([validation, noisy], truth_of).apply([predictions, others])",
    "submit.ensemble.greedy": "submit.ensemble.greedy([validation, noisy], truth_of).apply([predictions, others])",
    "submit.ensemble.stack": 'submit.ensemble.stack([validation, noisy], truth_of, by="target").apply([predictions, others])',
    "submit.bootstrap.Interval": "found = submit.bootstrap.interval(pred, truth)\nfound.low, found.high",
    "submit.bootstrap.difference": "submit.bootstrap.difference(pred, -pred, truth)  # paired: the same samples in each draw",
    "submit.bootstrap.interval": 'submit.bootstrap.interval(pred, truth, aggregate="median")',
    "submit.provenance.Kept": 'kept = submit.provenance.read("solution.csv")\nkept.record["versions"], kept.faults',
    "submit.provenance.keep": 'submit.provenance.keep("solution.csv", predictions.provenance)',
    "submit.provenance.read": 'submit.provenance.read("solution.csv").record["file"]["sha256"]',
    "submit.provenance.sidecar": 'submit.provenance.sidecar("solution.csv")  # solution.csv.provenance.json',
    "submit.algonauts.check": 'faults = submit.algonauts.check("submission.zip", "algonauts_2023_challenge_data")',
    "submit.algonauts.write": 'submit.algonauts.write({"subj01": "subj01.npz"}, "submission.zip", "algonauts_2023_challenge_data")',
    "submit.algonauts2021.check": 'faults = submit.algonauts2021.check("mini_track.pkl")',
    "submit.algonauts2021.write": 'submit.algonauts2021.write({"sub01": "sub01.npz"}, "mini_track.pkl")',
    "submit.vqa_results.VQAScores": 'submit.vqa_results.score("results.json", "annotations.json").accuracy',
    "submit.vqa_results.check": 'faults = submit.vqa_results.check("results.json", "questions.json")',
    "submit.vqa_results.read_question_ids": 'submit.vqa_results.read_question_ids("questions.json")  # (n,)',
    "submit.vqa_results.score": 'submit.vqa_results.score("results.json", "annotations.json")',
    "submit.vqa_results.write": 'submit.vqa_results.write(predictions, "results.json", "questions.json")',
    "submit.sensorium.Trials": 'trials = submit.sensorium.read_session("session", "test")',
    "submit.sensorium.check": 'faults = submit.sensorium.check("submission_file_live_test.csv", "session")',
    "submit.sensorium.read_session": 'submit.sensorium.read_session("session", "test")',
    "submit.sensorium.write": 'submit.sensorium.write(predictions, "submission", "session")',
    "submit.ClassScores": "submit.score(logits, labels).accuracy",
    "submit.Labels": 'labels = submit.Labels(ids=["a", "b"], labels=["cat", "dog"])',
    "submit.Predictions": 'p = submit.Predictions(ids=["a", "b"], values=[[1, 2], [3, 4]], targets=["n0", "n1"])',
    "submit.Scores": "submit.score(predictions, solution).median",
    "submit.SubmissionError": 'try:\n    submit.check("x", "y")\nexcept submit.SubmissionError as e:\n    print(e)',
    "submit.align": 'submit.align(predictions, np.array(["b", "a"])).values',
    "submit.check": 'faults = submit.check(predictions, "sample_submission.csv")  # [] where there are none',
    "submit.load_ceiling": 'submit.score(predictions, solution, submit.load_ceiling("ceiling.npy"))',
    "submit.mean": "both = submit.mean([predictions, others])",
    "submit.score": 'submit.score("predictions.npz", "solution.csv").mean',
    "submit.weighted": "both = submit.weighted([predictions, others], [0.7, 0.3])",
    "submit.write": 'submit.write(predictions, "submission.csv", "sample_submission.csv")',
    "submit.metrics.accuracy": "submit.metrics.accuracy(np.array([0, 1, 1]), np.array([0, 1, 2]))",
    "submit.metrics.explained_variance": "submit.metrics.explained_variance(pred, truth)  # (t,)",
    "submit.metrics.mse": "submit.metrics.mse(pred, truth)  # (t,)",
    "submit.metrics.noise_normalised": "submit.metrics.noise_normalised(submit.metrics.pearson(pred, truth), ceiling)",
    "submit.metrics.pearson": 'submit.metrics.pearson(pred, truth, constant="nan")  # (t,)',
    "submit.metrics.r2": "submit.metrics.r2(pred, truth)  # (t,)",
    "submit.metrics.top_k_accuracy": "submit.metrics.top_k_accuracy(pred, np.array([0, 1]), k=2)",
    "submit.metrics.undefined": "submit.metrics.undefined(pred, truth).sum()",
    "submit.ceilings.explainable_variance": "submit.ceilings.explainable_variance(repeats)  # (t,)",
    "submit.ceilings.ncsnr": "submit.ceilings.ncsnr(repeats)  # (t,)",
    "submit.ceilings.nsd_ceiling": "submit.ceilings.nsd_ceiling(submit.ceilings.ncsnr(repeats), (100, 40, 20))",
    "submit.ceilings.signal_share": 'np.save("ceiling.npy", submit.ceilings.signal_share(repeats))',
    "submit.ceilings.split_half_reliability": "submit.ceilings.split_half_reliability(repeats)  # (t,)",
    "submit.ceilings.variance_ceiling": "submit.ceilings.variance_ceiling(repeats)  # (t,)",
}


def names() -> dict[str, Any]:
    """{dotted name: function or class} of all that is public, each once; a module has a section of its own."""
    found: dict[str, Any] = {}
    for home in MODULES:
        module = importlib.import_module(home)
        for name in sorted(getattr(module, "__all__", None) or _defined(module)):
            thing = getattr(module, name)
            if (inspect.isfunction(thing) or inspect.isclass(thing)) and thing not in found.values():
                found[f"{home}.{name}"] = thing
    return found


def _defined(module: ModuleType) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and callable(value)
        and getattr(value, "__module__", "") == module.__name__
    ]


def page() -> str:
    """The page's text. Raises SystemExit naming what has no worked line."""
    public = names()
    if lacking := sorted(public.keys() - EXAMPLES.keys()):
        raise SystemExit(f"tools/api_docs.py: EXAMPLES lacks a worked line for {', '.join(lacking)}")
    lines = [
        "# The Python API",
        "",
        "Written by `python tools/api_docs.py` from the docstrings; do not edit by hand.",
        "",
    ]
    for home in MODULES:
        summary = inspect.getdoc(importlib.import_module(home)).splitlines()[0]  # type: ignore[union-attr]
        lines += [f"## {home}", "", summary, ""]
        for name in (name for name in public if name.rpartition(".")[0] == home):
            lines += [f"### {name}", "", "```python", EXAMPLES[name], "```", "", *_described(public[name])]
    return "\n".join(lines)


def _described(thing: Any) -> list[str]:
    """Signature and docstring, then those of a class's public methods, as they stand in the source."""
    lines = ["```text", signature(thing), "", inspect.getdoc(thing) or "", "```", ""]
    if inspect.isclass(thing) and not issubclass(thing, Exception):
        for name, method in vars(thing).items():
            plain = getattr(method, "__func__", getattr(method, "fget", method))
            if not name.startswith("_") and inspect.isfunction(plain) and plain.__doc__:
                about = textwrap.indent(inspect.getdoc(plain) or "", "    ")
                lines[-2:-2] = ["", f".{signature(plain)}", about]
    return lines


def signature(thing: Any) -> str:
    """As in the source: `name(arguments) -> result`, or a class's fields. The same under any version of Python."""
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(thing))).body
    if isinstance(node, ast.ClassDef):
        fields = [ast.unparse(part) for part in node.body if isinstance(part, ast.AnnAssign)]
        return _wrapped(f"{node.name}({', '.join(fields)})" if fields else node.name)
    assert isinstance(node, ast.FunctionDef)
    arguments = re.sub(r"^(self|cls)\b(, )?", "", ast.unparse(node.args))
    return _wrapped(
        f"{node.name}({arguments})" + (f" -> {ast.unparse(node.returns)}" if node.returns else "")
    )


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 110, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    PAGE.write_text(page())

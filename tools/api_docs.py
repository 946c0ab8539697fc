"""Write docs/api.md: every public name of jaxlab and submit, its signature, its docstring and a worked line.

    python tools/api_docs.py

What a module offers is its `__all__`, else the public functions and classes that it defines. A test holds the page
to the code, and runs the lines of `submit`.
"""

import ast
import importlib
import inspect
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

MODULES = ("jaxlab", "submit", "submit.metrics", "submit.ceilings")
PAGE = Path(__file__).parents[1] / "docs/api.md"

EXAMPLES = {
    "jaxlab.Experiment": "experiment = jaxlab.Experiment(data=KaggleTable(root=FOLDER), images=Images(size=(56, 56)))",
    "jaxlab.Run": 'run = jaxlab.load("runs/mine")\nrun.predict_split("test").save("test.npz")',
    "jaxlab.Training": "training = jaxlab.Training(epochs=40, batch_size=50, ema=0.99)",
    "jaxlab.UserError": "try:\n    jaxlab.load(path)\nexcept jaxlab.UserError as e:\n    print(e)",
    "jaxlab.bundle": 'jaxlab.bundle(["runs/a", "runs/b"], "my-bundle", data="/kaggle/input/my-competition")',
    "jaxlab.load": 'values = jaxlab.load("runs/mine", ["data.root=FOLDER"]).predict("images/")  # (n, t)',
    "jaxlab.train": 'path = jaxlab.train(experiment, "runs/mine")',
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
    """{dotted name: function or class} of all that is public; a module among it has a section of its own."""
    found = {}
    for home in MODULES:
        module = importlib.import_module(home)
        for name in sorted(getattr(module, "__all__", None) or _defined(module)):
            if callable(getattr(module, name)):
                found[f"{home}.{name}"] = getattr(module, name)
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
    arguments = ast.unparse(node.args).removeprefix("self").removeprefix(", ")
    return _wrapped(
        f"{node.name}({arguments})" + (f" -> {ast.unparse(node.returns)}" if node.returns else "")
    )


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 110, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    PAGE.write_text(page())

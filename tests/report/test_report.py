"""`jaxlab report` and `jaxlab compare`: pages, pictures and tables of runs, by numpy, and as a browser shows them."""

import json
import re
import struct
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from browser import PROGRAM, browser
from click.testing import CliRunner
from made import STEPS, arrays, made_run
from PIL import Image

from jaxlab.cli.main import main
from jaxlab.core.types import UserError
from jaxlab.losses import CrossEntropy
from jaxlab.report import frame
from jaxlab.report.results import classes, course, facts, numbers, study, worth
from jaxlab.report.results.reading import read
from jaxlab.report.results.report import distinct, report
from jaxlab.training import events

HOSTILE = "</script><script>window.owned=1</script><img src=x onerror='window.owned=1'>"
CLASSES = ("none", HOSTILE, "$x_1$ & [b]", "thumb\x1b[31m")
N, T = 24, 6


def invoke(*arguments, code=0):
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    """(its arrays' file, truth (24, 6), a run that predicted rows 8 to 23, another that predicted 4 to 19)."""
    folder = tmp_path_factory.mktemp("numbers")
    rng = np.random.default_rng(1)
    truth = rng.normal(10, 3, (N, T)).astype(np.float32)
    truth[:, -1] = 4  # constant
    root = arrays(folder / "arrays.npz", targets=truth, target_names=np.array([f"n{k}" for k in range(T)]))
    runs = []
    for number, rows in enumerate((np.arange(8, 24), np.arange(4, 20))):
        values = (truth[rows] + rng.normal(0, 1 + number, (16, T))).astype(np.float32)
        settings = [f"optimizer.lr={0.01 * (number + 1)}"]
        runs.append(
            made_run(folder / "runs" / f"run{number}", root, rows, values, [0.2, 0.5, 0.4], *settings)
        )
    return root, truth, runs


@pytest.fixture(scope="module")
def classified(tmp_path_factory):
    """A run on four classes, one of them of a hostile name, in a directory of one."""
    folder = tmp_path_factory.mktemp("classes")
    rng = np.random.default_rng(2)
    labels = np.arange(N) % 4
    root = arrays(folder / "arrays.npz", labels=labels, target_names=np.array(CLASSES))
    logits = (3 * np.eye(4)[labels] + rng.normal(0, 2, (N, 4))).astype(np.float32)
    name = "<b onmouseover=window.owned=1>run"
    return (
        made_run(folder / name, root, np.arange(N), logits, [0.3, 0.6, 0.5], loss=CrossEntropy()),
        logits,
        labels,
    )


@pytest.fixture(scope="module")
def pages(numbered, classified, folded, tmp_path_factory):
    """A page of a regression, of classes, of two runs beside one another, and of folds; and pictures of the first."""
    folder = tmp_path_factory.mktemp("pages")
    places = folder / "places.csv"
    places.write_text("target,x,y\n" + "".join(f"n{k},{k},{k % 2}\n" for k in range(T)))
    runs = numbered[2]
    more = ("--pictures", folder / "pictures", "--coordinates", places)
    invoke("report", runs[0], "--quick", "--out", folder / "numbers.html", *more)
    invoke("report", classified[0], "--quick", "--out", folder / "classes.html")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxlab.report.results.report._IN_FULL", 1)  # of each by itself there are pages already
        invoke("report", *runs, "--quick", "--out", folder / "both.html")
    invoke("report", folded, "--quick", "--out", folder / "folds.html")
    return folder


def pearson(a, b):
    with np.errstate(all="ignore"):
        return np.array([np.corrcoef(x, y)[0, 1] for x, y in zip(a.T, b.T, strict=True)])


@pytest.mark.slow  # draws many figures
def test_a_page_has_the_scores_of_the_predictions(numbered, pages):
    _, truth, (run, _) = numbered
    text = (pages / "numbers.html").read_text()
    kept = np.load(run / "predictions" / "validation.npz")
    r = pearson(kept["values"].astype(float), truth[8:].astype(float))
    assert f"Mean Pearson r: {np.nan_to_num(r).mean():.4f} (95 % interval" in text
    assert "of 16 samples that it did not learn" in text
    best = int(np.nanargmax(r))
    assert f"The best target, n{best}, in its own units: r = {r[best]:.3f}" in text
    assert "r of 1 target is undefined" in text
    assert "0.001 -&gt;" not in text
    assert "<td>optimizer.lr</td><td>0.001</td><td>0.01</td>" in text, "what differs from the defaults"
    assert f"{STEPS} of {STEPS} steps" in text
    assert len(text) < 1e6


@pytest.mark.slow
def test_pages_load_nothing_and_text_stays_text(pages):
    for page in pages.glob("*.html"):
        text = page.read_text()
        assert "http" not in re.sub(r"<meta http-equiv", "", text), page
        assert not re.search(r'(src|href)="(?!data:|#)', text), page
        assert text.count("<script") == 1, page
        assert "owned" not in text or "&lt;/script&gt;&lt;script&gt;window.owned=1" in text
    assert "\x1b" not in (pages / "classes.html").read_text()


@pytest.mark.slow
def test_pictures_are_those_of_the_page(pages):
    shown = (pages / "numbers.html").read_text().count('<svg role="img"')
    files = sorted((pages / "pictures").iterdir())
    assert len(files) == shown >= 11
    for file in files:
        assert np.asarray(Image.open(file).convert("L")).std() > 5, file
    assert {"loss", "gradient-norm", "scatter", "targets", "map"} <= {file.stem for file in files}


@pytest.mark.slow
@pytest.mark.skipif(PROGRAM is None, reason="no Chromium here")
def test_in_a_browser_pictures_are_there_nothing_is_fetched_and_nobody_complains(pages, tmp_path):
    with browser(tmp_path) as tab:
        for page in sorted(pages.glob("*.html")):
            for width in (400, 1600):
                tab.open(page, width)
                assert tab.value("document.documentElement.scrollWidth") <= width, (page, width)
            drawn = (
                "[...document.querySelectorAll('.pictures svg')].map(s => s.getBoundingClientRect().height)"
            )
            heights = tab.value(drawn)
            assert min(heights, default=0) > 50, page
            loaded = "[...document.images].every(i => i.complete && i.naturalWidth > 0)"
            assert tab.value(loaded), page
            assert tab.value("window.owned") is None, page
        assert tab.value("document.scripts.length") == 1
        zoomed = tab.value(
            "(() => { const s = document.querySelector('.pictures svg'); const before = s.getAttribute('viewBox');"
            " s.focus(); s.dispatchEvent(new WheelEvent('wheel', {deltaY: -400, clientX: 50, cancelable: true}));"
            " const after = s.getAttribute('viewBox'); s.dispatchEvent(new MouseEvent('dblclick'));"
            " return [before, after, s.getAttribute('viewBox')]; })()"
        )
        assert zoomed[0] == zoomed[2] != zoomed[1]
        assert not [url for url in tab.asked if not url.startswith(("file:", "data:"))]
        assert not tab.said


@pytest.mark.slow
def test_classes_have_their_matrix_and_scores(classified, pages):
    _, logits, labels = classified
    text = (pages / "classes.html").read_text()
    right = (logits.argmax(1) == labels).mean()
    assert f"Accuracy: {right:.4f}" in text
    counts = np.zeros((4, 4), int)
    np.add.at(counts, (labels, logits.argmax(1)), 1)
    cells = re.findall(r"<tr><td>([^<]*)</td><td>6</td><td>([\d.]+)</td><td>([\d.]+)</td>", text)
    assert len(cells) == 4
    recall = {"none": counts[0, 0] / 6}
    assert {name: float(value) for name, _, value in cells}["none"] == pytest.approx(recall["none"], abs=1e-3)
    assert "Best predicted" in text


@pytest.mark.slow
def test_a_study_shows_its_runs(folded, pages):
    text = (pages / "folds.html").read_text()
    assert "2 runs of the study" in text
    for fold in ("fold0", "fold1"):
        assert f"<td>{fold}</td>" in text
    assert "95 % interval of the mean" not in text, "folds share samples"


def test_runs_are_compared_on_the_samples_of_both(numbered):
    _, truth, runs = numbered
    found = json.loads(invoke("compare", *runs, "--quick", "--json").stdout)
    first, other = (np.load(run / "predictions" / "validation.npz")["values"].astype(float) for run in runs)
    shared = truth[8:20].astype(float)
    less = (
        np.nan_to_num(pearson(other[4:], shared)).mean() - np.nan_to_num(pearson(first[:12], shared)).mean()
    )
    row = found["runs"][1]
    assert (row["shared"], row["why"]) == (12, "")
    assert row["difference"]["value"] == pytest.approx(less, abs=1e-5)
    assert row["difference"]["low"] < less < row["difference"]["high"]
    assert found["runs"][0]["difference"] is None
    assert found["config"]["run1"] == [["optimizer.lr", "0.01", "0.02"]]
    shown = invoke("compare", *runs, "--quick").output
    assert f"{less:+.4f}" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_what_cannot_be_compared_says_why(numbered, classified):
    shown = invoke("compare", numbered[2][0], classified[0], "--quick").output
    assert "no paired difference to the first: they predict other targets" in shown


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda run: (run / "predictions" / "validation.npz").write_bytes(b"torn"), "no predictions of labelled"),
        (lambda run: (run / "metrics.jsonl").write_text(""), "n0"),
        (lambda run: (run / "run.json").unlink(), "it has no run.json"),
        (lambda run: (run / "checkpoints" / "12" / "meta.json").write_text("{"), "none of the 1 checkpoints"),
        (lambda run: (run / "config.json").write_text(
            '{"schema": 1, "experiment": {"type": "Unheard", "a": 1}}'), "Unheard"),
    ],
)  # fmt: skip
def test_what_is_damaged_says_so_in_its_place(numbered, tmp_path, monkeypatch, harm, words):
    import shutil

    run = tmp_path / "run"
    shutil.copytree(numbered[2][0], run)
    harm(run)
    before = sorted((file, file.stat().st_mtime_ns) for file in run.rglob("*"))
    monkeypatch.setattr("jaxlab.report.drawing._saved", lambda *_: b"<svg></svg>")
    page = report([run], quick=True).html()
    assert words in page
    assert sorted((file, file.stat().st_mtime_ns) for file in run.rglob("*")) == before, "nothing is written"


def test_bad_input_is_one_sentence(numbered, tmp_path):
    run = numbered[2][0]
    page = tmp_path / "page.html"
    assert "expected --out FILE.html, --pictures FOLDER" in invoke("report", run, code=1).output
    assert "expected mlflow, mlflow:URI or wandb" in invoke("report", run, "--to", "comet", code=1).output
    assert "expected a file that ends in .html" in invoke("report", run, "--out", "page.pdf", code=1).output
    assert "not a run directory" in invoke("report", tmp_path, "--out", page, code=1).output
    assert "expected two runs or more" in invoke("compare", run, code=1).output
    places = tmp_path / "places.csv"
    places.write_text("target,x,y\nn0,1,2\n")
    refused = invoke("report", run, "--quick", "--out", page, "--coordinates", places, code=1).output
    assert "expected coordinates of 6 targets, found none of 5 of them" in refused
    assert not page.exists()
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "file").touch()
    assert "there is something already" in invoke("report", run, "--pictures", taken, code=1).output


def test_the_scatter_is_standardised_by_each_targets_truth(nans_allowed):
    rng = np.random.default_rng(3)
    truth = rng.normal([5, -100, 0], [1, 30, 0], (40, 3))  # the last is constant
    truth[0, 0] = np.nan
    pairs = numbers.standardised(truth, 2 * truth)
    z = (truth - np.nanmean(truth, 0))[:, :2] / np.nanstd(truth, 0)[:2]
    np.testing.assert_allclose(np.sort(pairs[:, 0]), np.sort(z[np.isfinite(z)]), rtol=1e-9)
    assert len(numbers.standardised(np.ones((9, 40_000), np.float32), np.ones((9, 40_000), np.float32))) == 0


def test_a_long_curve_keeps_its_extremes():
    values = np.random.default_rng(4).normal(size=50_000)
    values[777] = 99.0
    steps, kept = course.thinned([{"step": k, "x": float(v)} for k, v in enumerate(values)], "x", bins=50)
    assert len(steps) <= 100
    assert (max(kept), min(kept)) == (99.0, values.min())
    assert steps == sorted(steps)


def test_runs_have_the_shortest_names_that_tell_them_apart():
    paths = [Path("/a/one/seed0/run"), Path("/a/two/seed0/run")]
    assert distinct(paths) == ["one", "two"]
    assert distinct([Path("/a/b/c")]) == ["b/c"]
    assert len(set(distinct([Path("/a/b"), Path("/a/b"), Path("/a/c")]))) == 3


def test_configs_differ_part_by_part():
    old = {"type": "E", "lr": 1, "model": {"type": "A", "depth": 3}, "augment": []}
    new = {"type": "E", "lr": 2, "model": {"type": "B", "size": 4}, "augment": [{"type": "Flip"}]}
    found = facts.changes(old, new)
    assert found == [("lr", "1", "2"), ("model", "A: depth 3", "B: size 4"), ("augment", "none", "Flip")]


def test_time_is_read_back_from_event_files(tmp_path):
    def record(time):
        data = b"\x09" + struct.pack("<d", time) + b"\x10\x01"
        return struct.pack("<Q", len(data)) + b"\0" * 4 + data + b"\0" * 4

    (tmp_path / "events.out.tfevents.1.a.1").write_bytes(record(100.0) + record(130.5) + record(160.0)[:-7])
    (tmp_path / "events.out.tfevents.2.a.1").write_bytes(record(500.0) + record(510.0))
    (tmp_path / "events.out.tfevents.3.a.1").write_bytes(b"another program's")
    assert events.seconds(tmp_path) == pytest.approx(30.5 + 10)
    assert events.seconds(tmp_path / "none") is None


def test_settings_lie_on_their_axes():
    at, marks = study.places([1e-4, 1e-2, 1e-3])
    np.testing.assert_allclose(at, [0, 1, 0.5], atol=1e-12)
    assert marks == [(0.0, "0.0001"), (1.0, "0.01")]
    at, marks = study.places(["gelu", "relu", "gelu"])
    assert at.tolist() == [0, 1, 0]


def test_titles_are_those_of_the_points_and_escaped():
    text = frame.text("a<b>&\"'\x1b\udc80")
    assert text == "a&lt;b&gt;&amp;&quot;&#x27;\\x1b?"


@pytest.mark.slow  # draws a page
def test_a_notebook_makes_the_same(numbered, tmp_path, capsys, monkeypatch):
    """Its cells are run one after another, and are those of a notebook by nbformat."""
    import IPython.display
    import nbformat

    path, shown = tmp_path / "results.ipynb", []
    invoke("report", numbered[2][0], "--quick", "--notebook", path)
    cells = nbformat.validator.validate(book := nbformat.read(path, as_version=4)) or book.cells
    monkeypatch.setattr(IPython.display, "display", shown.append)
    monkeypatch.setattr("jaxlab.training.runtime.prepare", lambda: None)  # tests have their own
    names: dict = {}
    for cell in cells:
        if cell.cell_type == "code":
            exec(cell.source, names)
    printed = capsys.readouterr().out
    assert re.search(r"Mean Pearson r: 0\.\d{4} \(95 % interval", printed)
    assert len(shown) == len(names["found"].sections) + 1
    assert "<svg" in shown[2]._repr_html_()
    assert shown[-1]["pearson"]["count"] == T - 1


class Mlflow:
    """What of it is called, as its reference has it: `MlflowClient`, and `entities` of a parameter and a metric."""

    def __init__(self):
        self.entities = SimpleNamespace(Param=lambda key, value: (key, value), Metric=lambda *four: four)
        self.params, self.metrics, self.files, self.ended = {}, [], [], []

    def MlflowClient(self, tracking_uri):
        self.uri = tracking_uri
        return self

    def get_experiment_by_name(self, name):
        return None

    def create_experiment(self, name):
        return name

    def create_run(self, experiment, tags, run_name):
        self.tags = tags
        return SimpleNamespace(info=SimpleNamespace(run_id="r1"))

    def log_batch(self, run, metrics=(), params=()):
        assert len(metrics) <= 1000
        assert len(params) <= 100
        self.params |= dict(params)
        self.metrics += metrics

    def log_artifact(self, run, path):
        self.files.append(path)

    def set_terminated(self, run):
        self.ended.append(run)


def test_trackers_get_config_scores_and_page(numbered, tmp_path, monkeypatch):
    _, _, (run, _) = numbered
    mlflow = Mlflow()
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    monkeypatch.setattr("jaxlab.report.drawing._saved", lambda *_: b"<svg></svg>")
    page = tmp_path / "page.html"
    said = invoke("report", run, "--quick", "--to", "mlflow:file:/x", "--out", page).output
    assert "MLflow run r1" in said
    assert (mlflow.uri, mlflow.files, mlflow.ended) == ("file:/x", [str(page)], ["r1"])
    assert (mlflow.params["optimizer.lr"], mlflow.params["model.type"]) == ("0.01", "ShallowCNN")
    assert ("validation/pearson", 0.5, 0, 8) in mlflow.metrics
    assert mlflow.tags["commit"] == "abc"

    logged: list = []
    tracker = SimpleNamespace(
        summary={},
        name="one",
        finish=lambda: logged.append("end"),
        log=lambda values, step: logged.append((step, values)),
    )
    monkeypatch.setitem(
        sys.modules, "wandb", SimpleNamespace(init=lambda **given: logged.append(given) or tracker)
    )
    invoke("report", run, "--quick", "--to", "wandb")
    assert logged[0]["config"]["optimizer"]["lr"] == 0.01
    steps = [entry[0] for entry in logged[1:-1]]
    assert steps == list(range(1, STEPS + 1)), "each once, in order"
    assert logged[8][1]["validation/pearson"] == 0.5
    assert logged[-1] == "end"


def test_a_tracker_that_is_not_installed_is_one_sentence(numbered, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    said = invoke("report", numbered[2][0], "--to", "mlflow", code=1).output
    assert said == 'error: --to mlflow: mlflow is not installed: pip install "jaxlab[mlflow]"\n'


def places_in(value, at=()):
    """Where values lie in JSON."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*at, key)
            yield from places_in(item, (*at, key))


def test_files_of_strangers_may_hold_anything(numbered):
    """Whatever stands where in run.json and config.json, facts are told or left out."""
    reading = read(numbered[2][0])
    for name in ("config", "info"):
        whole = json.loads(json.dumps(getattr(reading, name)))
        for place in places_in(whole):
            for value in (None, 3, "x", [], {}, [3], {"a": 3}):
                changed = json.loads(json.dumps(whole))
                inner = changed
                for key in place[:-1]:
                    inner = inner[key]
                inner[place[-1]] = value
                assert list(facts.facts(replace(reading, **{name: changed}), None))
                facts.changes(whole, changed)


def test_what_a_part_is_worth_is_read_and_drawn(tmp_path):
    (tmp_path / "worth.csv").write_text(
        "part,checkpoint,split,class,score,whole,without,n,mean,sd,low,high,p_t,p_wilcoxon\n"
        "augment,best,validation,,pearson,0.5,0.4,3,0.1,0.01,0.05,0.15,0.01,0.2\n"
        "decay,best,validation,,pearson,0.5,0.51,3,-0.01,0.01,-0.02,,,\n"
        "decay,best,train,,pearson,0.9,0.8,3,0.1,0.01,0,0.2,,\n"
        "decay,best,validation,,loss/mse,0.7,0.6,3,0.1,0.01,0,0.2,,\n"  # a term of a loss, no score by itself
    )
    (section,) = worth.section(tmp_path)
    (picture,) = section.pictures
    text = section.html()
    assert "validation, best checkpoint" in picture.words
    assert "<title>augment: +0.1000 (0.5000 whole, 0.4000 without)</title>" in text
    assert "+0.0500 to +0.1500" in text
    assert "0.9000" not in text, "of what was learned nothing is worth"
    (tmp_path / "worth.csv").write_text("something,else\n1,2\n")
    with pytest.raises(UserError, match="expected a table of what parts are worth"):
        list(worth.section(tmp_path))
    assert not list(worth.section(tmp_path / "none"))


def test_many_classes_are_seen_in_groups():
    counts = np.random.default_rng(5).integers(0, 9, (973, 973))
    grouped, names = classes.grouped(counts, [f"c{k}" for k in range(973)])
    assert grouped.shape == (60, 60)
    assert grouped.sum() == counts.sum()
    second = int(names[1][1:])
    assert grouped[0, 1] == counts[:second, second : int(names[2][1:])].sum()

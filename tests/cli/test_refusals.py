"""A wrong command ends at once: one message, no traceback, nothing imported or opened that it does not take."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from jaxlab.cli import arguments
from jaxlab.cli.main import main
from jaxlab.data.source import Source
from jaxlab.data.sources.simulated import Simulated
from submit import SubmissionError
from submit.cli.main import main as submit_command

CONFIG = Path(__file__).parents[2] / "configs/shallow_cnn.py"

# {command: (exit code, words of its message)}. `run` has a config.json that is whole, `empty` none.
BEFORE_JAX = {
    "train none.py": (1, "config none.py: no such file"),
    "train empty": (1, "config empty: no such file"),
    "train quikstart": (1, "config quikstart: no such file, nor a config that ships with jaxlab; nearest: quickstart"),
    "train misnamed": (1, "config misnamed: no such file, nor a config that ships with jaxlab; nearest: misnamed.py"),
    "data audit shallow": (1, "nearest: shallow_cnn"),
    "train configs/quikstart.py": (1, "config configs/quikstart.py: no such file, nor a config that ships"),
    "train none.py --bogus": (2, "No such option"),
    "train none.py --folds 1": (2, "'--folds': 1 is not in the range"),
    "train none.py --stop-after soon": (1, "expected a time such as 8h30m"),
    "train none.py --run file.txt": (2, "'file.txt' is a file"),
    "train": (2, "Missing argument 'CONFIG'"),
    "trian none.py": (2, "No such command 'trian'"),
    "train broken.py": (1, "config broken.py, line 2: '(' was never closed"),
    "train zero.py": (1, "config zero.py: source code string cannot contain null bytes"),
    "train misnamed.py": (1, "config misnamed.py: expected a variable `experiment = Experiment(...)`, found None"),
    "train lacking.py": (1, "config lacking.py, line 1: No module named 'no_such_package'"),
    "features none.py": (1, "config none.py: no such file"),
    "features none.py --dtype int8": (2, "'int8' is not one of 'float32', 'bfloat16'"),
    "data audit none.py": (1, "config none.py: no such file"),
    "data audit none.py --out page.pdf": (1, "--out page.pdf: expected a file that ends in .html"),
    "data audit none.py --duplicates x.txt": (1, "--duplicates x.txt: expected a file that ends in .csv"),
    "data prepare none.py out": (1, "config none.py: no such file"),
    "data prepare none.py out --size 0 1": (2, "'--size': 0 is not in the range"),
    "data audit none.py --out file.txt/x.html": (1, "--out file.txt/x.html: nothing can be written in "),
    "report run --out file.txt/in/x.html": (1, "--out file.txt/in/x.html: nothing can be written in "),
    "report run --notebook file.txt/x.ipynb": (1, "--notebook file.txt/x.ipynb: nothing can be written in "),
    "predict run --out file.txt/x": (1, "--out file.txt/x: nothing can be written in "),
    "predict": (2, "Missing argument 'RUNS...'"),
    "predict nowhere": (1, "nowhere is not a run directory: it has no config.json"),
    "predict run empty": (1, "empty is not a run directory: it has no config.json"),
    "predict file.txt": (1, "file.txt is not a run directory: it has no config.json"),
    "predict torn": (1, "torn/config.json is not whole JSON"),
    "predict listed": (1, "listed/config.json: expected a JSON object, found [1]"),
    "predict hollow": (1, "hollow/config.json: expected an experiment, found None"),
    "predict later": (1, "later/config.json: expected schema 1, found 2"),
    "predict run --out x.txt": (1, "--out x.txt: expected a file that ends in .csv or .npz"),
    "predict run --out folder.csv": (1, "folder.csv: expected a file, found a folder"),
    "predict run --checkpoint lats": (1, "--checkpoint: expected best, last or a step, found 'lats'"),
    "predict run --checkpoint ²": (1, "--checkpoint: expected best, last or a step, found '²'"),
    "predict run --split tset": (2, "'tset' is not one of 'test', 'validation', 'out_of_fold'"),
    "evaluate empty": (1, "empty is not a run directory: it has no config.json"),
    "evaluate run --checkpoints lats": (2, "'lats' is not one of 'best', 'last', 'all'"),
    "soup empty --out new": (1, "empty is not a run directory: it has no config.json"),
    "soup run --out new --checkpoints 5": (1, "--checkpoints: expected all or last:N, as last:5, found '5'"),
    "soup run --out new --checkpoints last:0": (1, "--checkpoints: expected all or last:N"),
    "soup run": (2, "Missing option '--out'"),
    "bundle empty --out new": (1, "empty is not a run directory: it has no config.json"),
    "bundle run --out new --checkpoint lats": (1, "expected best, last or a step, found 'lats'"),
    "inspect test.npz": (1, "found nothing there; python -m submit explain says what predictions were made of"),
    "inspect nowhere": (1, "nowhere: expected a run directory"),
    "simulate": (2, "Missing argument 'FOLDER'"),
    "simulate new --kind vqa --full --images 9": (1, "--images: has no part in --full, which writes as many as"),
    "simulate new --size big": (2, "'big' is not a valid integer"),
    "configs copy nothing": (1, "no config 'nothing' ships with jaxlab"),
    "doctor now": (2, "Got unexpected extra argument (now)"),
}  # fmt: skip

HEAVY = ("jax", "flax", "pandas", "grain", "matplotlib", "orbax", "torch")

# Runs every command in one process, and says of each how it ended and what it had imported.
PROGRAM = """
import json, sys
from click.testing import CliRunner
from jaxlab.cli.main import main

ended = {}
for command in json.loads(sys.stdin.read()):
    result = CliRunner().invoke(main, command.split())
    loaded = [name for name in sys.argv[1:] if name in sys.modules]
    exception = None if isinstance(result.exception, SystemExit) else repr(result.exception)
    ended[command] = [result.exit_code, result.stdout, result.stderr, exception, loaded]
print(json.dumps(ended))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of things that are no configs and no runs, and of `run`, whose config.json is whole."""
    path = tmp_path_factory.mktemp("place")
    for name in ("empty", "folder.csv"):
        (path / name).mkdir()
    configs = {
        "run": '{"schema": 1, "experiment": {"type": "Experiment"}}',
        "torn": '{"schema": 1, "exp',
        "listed": "[1]",
        "hollow": '{"schema": 1}',
        "later": '{"schema": 2, "experiment": {"type": "Experiment"}}',
    }
    for name, text in configs.items():
        (path / name).mkdir()
        (path / name / "config.json").write_text(text)
    files = {
        "file.txt": "",
        "broken.py": "\nx = (\n",
        "zero.py": "x = '\0'\n",
        "misnamed.py": "experimnt = 1\n",
        "lacking.py": "import no_such_package\n",
    }
    for name, text in files.items():
        (path / name).write_text(text)
    return path


@pytest.fixture(scope="module")
def ended(place):
    """{command: [exit code, stdout, stderr, exception, heavy libraries imported until then]}."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *HEAVY],
        input=json.dumps(list(BEFORE_JAX)),
        capture_output=True,
        text=True,
        cwd=place,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("command", BEFORE_JAX)
def test_a_wrong_command_is_refused_before_jax_is_imported(command, ended):
    wanted, words = BEFORE_JAX[command]
    code, out, err, exception, loaded = ended[command]
    assert exception is None
    assert (code, loaded) == (wanted, [])
    assert out == ""
    assert words in err
    one_message(err, code)


def one_message(text: str, code: int) -> None:
    """Of ours one line; of click the usage, where help is, and one line."""
    lines = text.strip().splitlines()
    starts = ["error: "] if code == 1 else ["Usage: ", "Try ", "", "Error: "]
    assert len(lines) == len(starts), text
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True)), text


def test_what_was_refused_has_left_nothing_behind(place, ended):
    assert ended
    assert not [name for name in ("new", "out", "runs", "page.pdf", "x.txt") if (place / name).exists()]


@pytest.fixture
def sealed(monkeypatch):
    """No data may be opened."""

    def opened(*_: object) -> None:
        raise AssertionError("opened before the mistake was found")

    def sources(cls: type) -> list[type]:
        return [cls, *(inner for child in cls.__subclasses__() for inner in sources(child))]

    for source in sources(Source):
        for method in ("open", "open_test"):
            if method in vars(source):
                monkeypatch.setattr(source, method, opened)
    monkeypatch.setattr(arguments, "prepare", lambda: None)


def test_the_seal_holds(sealed):
    with pytest.raises(AssertionError, match="opened before"):
        Simulated().open()


MISTYPED = {
    "--set optimizer.lrr=1": "AdamW has no field 'lrr'; nearest: lr",
    "--set optimizer.lr=fast": "AdamW.lr: expected float",
    "--set nonsense": "--set nonsense: expected field=value",
    "--set images.sise=32": "Images has no field 'sise'; nearest: size",
    "--set data=Simulated": "a part is chosen in the config file",
}


@pytest.mark.parametrize("setting", MISTYPED)
@pytest.mark.parametrize("command", ["train", "features", "data audit", "data prepare"])
def test_a_mistyped_setting_is_refused_before_data_are_opened(
    command, setting, sealed, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    out = ["out"] if command == "data prepare" else []
    result = CliRunner().invoke(main, [*command.split(), str(CONFIG), *out, *setting.split()])
    assert MISTYPED[setting] in result.stderr, repr(result.exception)
    one_message(result.stderr, result.exit_code)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["predict", "evaluate", "soup --out new"])
@pytest.mark.parametrize("setting", ["inference.tta.shfit=3", "data.rot=FOLDER", "nonsense"])
def test_a_mistyped_setting_of_a_run_likewise(command, setting, sealed, place, monkeypatch):
    monkeypatch.chdir(place)
    words = [*command.split(), "run", "run", "--set", setting]
    if command == "evaluate":
        words.remove("run")
    result = CliRunner().invoke(main, words)
    assert f"--set {setting}: " in result.stderr, repr(result.exception)
    one_message(result.stderr, result.exit_code)
    assert not (place / "new").exists()


@pytest.mark.parametrize(
    "words", ["evaluate run --details --json --out file.txt/x", "report run --pictures file.txt/x"]
)
def test_a_folder_that_cannot_be_made_is_refused_before_data_are_opened(words, sealed, place, monkeypatch):
    """Not once all is computed, which would be lost."""
    monkeypatch.chdir(place)
    result = CliRunner().invoke(main, words.split())
    assert f"{words.split()[-2]} file.txt/x: nothing can be written in file.txt" in result.stderr
    one_message(result.stderr, result.exit_code)


@pytest.mark.parametrize("command", ["train", "features", "data audit", "data prepare"])
@pytest.mark.parametrize("name", ["shallow_cnn", "shallow_cnn.py", "configs/shallow_cnn.py"])
def test_a_config_that_ships_goes_by_the_name_in_the_list(command, name, sealed, tmp_path, monkeypatch):
    """In a folder without it; a file of that name comes first, and a folder of it does not count."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shallow_cnn").mkdir()
    words = [*command.split(), name, *(["out"] if command == "data prepare" else [])]
    result = CliRunner().invoke(main, [*words, "--set", "model.width=1"])
    assert "error: --set model.width=1: ShallowCNN has no field 'width'" in result.stderr, repr(
        result.exception
    )
    (tmp_path / "shallow_cnn.py").write_text("experiment = 1\n")
    result = CliRunner().invoke(main, words)
    assert ("expected a variable" in result.stderr) == (name == "shallow_cnn.py"), result.stderr


@pytest.mark.parametrize("command", ["data audit", "data prepare", "features"])
def test_a_study_has_the_data_of_its_experiment(command, sealed, tmp_path, monkeypatch):
    """As `train` takes it: its data are opened, which the seal keeps."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "from jaxlab.experiment import Experiment, Folds, Seeds\n\n"
        "experiment = Seeds(experiment=Folds(experiment=Experiment()))\n"
    )
    out = ["out"] if command == "data prepare" else []
    result = CliRunner().invoke(main, [*command.split(), "mine.py", *out])
    assert "opened before" in str(result.exception), result.stderr


MISWRITTEN = {
    "Experiment(optimiser=AdamW())": "Experiment has no field 'optimiser'; nearest: optimizer",
    "Experiment(optimizer=AdamW(lr=-1.0))": "AdamW.lr: expected more than 0, found -1.0",
    "Experiment(optimizer=AdamV())": "name 'AdamV' is not defined; nearest: Adam of jaxlab.optim, AdamW of ja",
    "Experiment(modle=None)": "Experiment has no field 'modle'; nearest: model",
    "Experiment(modle=None, heat=None)": "nearest: model; Experiment has no field 'heat'; nearest: head",
    "Experiment(AdamW())": "Experiment: expected fields by name, as Experiment(data=...), found AdamW(",
    "Experiment(head=Linear())": "name 'Linear' is not defined: from jaxlab.heads import Linear",
    "Experiment(); from jaxlab.heads import Liner": "cannot import name 'Liner' from 'jaxlab.heads'; nearest: Linear",
    "Experiment(); from jaxlab.heads import AdamW": "'AdamW' from 'jaxlab.heads': from jaxlab.optim import AdamW",
    "Experiment(); from jaxlab import Experimnt": "cannot import name 'Experimnt' from 'jaxlab'; nearest: Experiment",
    "Experiment(); from jaxlab.haeds import Linear": "No module named 'jaxlab.haeds'; nearest: heads",
    "Experiment(head='linear')": "Experiment.head: expected Head, found 'linear'",
    "Experiment": "expected a variable `experiment = Experiment(...)`, found <class",
    "AdamW()": "expected experiment = Experiment(...) or Ridge(...) or Study(...), found AdamW",
}


@pytest.mark.parametrize("written", MISWRITTEN)
def test_a_mistake_in_a_config_is_refused_before_data_are_opened(
    written, sealed, signatures_off, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "mine.py"
    config.write_text(
        "from jaxlab.experiment import Experiment\nfrom jaxlab.optim import AdamW\n\n"
        f"experiment = {written}\n"
    )
    result = CliRunner().invoke(main, ["train", str(config)])
    assert MISWRITTEN[written] in result.stderr, repr(result.exception)
    assert result.stderr.startswith("error: config mine.py")
    one_message(result.stderr, result.exit_code)
    assert list(tmp_path.iterdir()) == [config]


def commands(group: click.Group, name: str = "") -> dict[str, click.Command]:
    """{name: command} of all of them, groups too, itself as ""."""
    found: dict[str, click.Command] = {name: group}
    for word, command in group.commands.items():
        whole = f"{name} {word}".strip()
        found |= commands(command, whole) if isinstance(command, click.Group) else {whole: command}
    return found


@pytest.mark.parametrize("name", commands(main))
def test_help_ends_with_an_example_that_the_command_takes(name, monkeypatch):
    """And with a next step, on lines of eighty columns; each is typed as it stands, but nothing is done."""
    shown = CliRunner().invoke(main, [*name.split(), "--help"]).stdout
    _, _, after = shown.partition("\n  Example")
    before, _, following = after.partition("\n  Next:\n")
    lines = [line.strip() for line in before.splitlines()[1:] if line.strip()]
    assert lines
    step = following.strip()
    assert step
    if step.startswith("jaxlab"):
        lines.append(step)
    elif step.startswith("python -m submit"):
        assert step.split()[3] in submit_command.commands
    assert lines[0].startswith(f"jaxlab {name}"), "the first is of the command itself"
    assert max(map(len, shown.splitlines())) <= 80
    monkeypatch.setattr(arguments.RunPath, "convert", lambda self, value, param, ctx: Path(value))
    typed: list[str] = []
    for whole, command in commands(main).items():
        if not isinstance(command, click.Group):
            monkeypatch.setattr(command, "callback", lambda whole=whole, **_: typed.append(whole))
    for line in lines:
        result = CliRunner().invoke(main, shlex.split(line)[1:])
        assert result.exit_code == 0, f"{line}: {result.output}"
    assert len(typed) == len(lines)


URLS = {
    ("inspect", "path"),
    ("inspect", "diff"),
    ("runs", "folder"),
    ("evaluate", "run"),
}  # and --run, of what trains


def test_where_no_url_may_be_one_is_refused():
    """Not written into a folder "s3:": each path of each command, but for those of runs."""
    asked = {
        (name, param.name): param
        for name, command in commands(main).items()
        for param in command.params
        if isinstance(param.type, click.Path | arguments.Output) and param.name != "run"
    }
    assert {("predict", "out"), ("report", "pictures"), ("soup", "out"), ("bundle", "out")} <= asked.keys()
    for key, param in asked.items():
        if key in URLS:
            continue
        suffix = next(iter(getattr(param.type, "suffixes", ())), "")
        with pytest.raises(SubmissionError, match=r"s3://b/x.*expected a path on this machine, found a URL"):
            param.type.convert(f"s3://b/x{suffix}", param, None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["evaluate", "--pending", "s3://b/runs"],
            "--pending: expected a folder on a disk that all watchers see",
        ),
        (
            ["overfit", "quickstart", "--run", "s3://b/x"],
            "s3://b/x: expected a path on this machine, found a URL",
        ),
        (
            ["runs", "memory://nothing/runs"],
            "memory://nothing/runs: expected a run, or a folder of runs, found none",
        ),
    ],
)
def test_a_url_that_a_command_does_not_take_is_one_sentence(arguments, words):
    result = CliRunner().invoke(main, arguments)
    one_message(result.stderr, result.exit_code)
    assert words in result.stderr

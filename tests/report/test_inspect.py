"""`jaxlab inspect` on checkpoints made by hand: no model, no training."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from click.testing import CliRunner

from jaxlab.cli.main import main
from jaxlab.core.types import UserError
from jaxlab.report import leaves
from jaxlab.report.checkpoint import describe
from jaxlab.report.layers import rows
from jaxlab.training import arrays
from jaxlab.training.checkpoint import Checkpoints
from jaxlab.training.notices import FILE, Notice, line
from jaxlab.training.rundir import RunDirectory

PARAMS = {
    "backbone.conv.bias": np.array([0.5, -0.5, 2.0], np.float32),
    "backbone.conv.kernel": np.arange(24, dtype=np.float32).reshape(2, 4, 3),
    "head.kernel": np.array([[1.0, np.nan], [np.inf, 3.0], [np.nan, 5.0]], np.float32),
    "head.scale": np.array([1.0, 1.5], ml_dtypes.bfloat16),
}
CONFIG = {"type": "Experiment", "optimizer": {"type": "Adam", "lr": 0.1}, "training": {"epochs": 2.0}}
INFO = {"python": "3.11.0", "versions": {"jax": "0.8.0"}, "commit": "abc", "data": {"fingerprint": "f" * 64}}


def make_run(path: Path, params=PARAMS, *, config=CONFIG, info=INFO, steps=(10, 20), best=10) -> Path:
    run = RunDirectory(path)
    run.create(config, None, info)
    writer = Checkpoints(run.checkpoints, keep_every=10)
    for step in steps:
        arrays = {"step": {"value": np.int32(step)}, "params": params, "stats": {"m": np.ones(4)}, "ema": {}}
        progress = {"best": {"metric": "pearson", "value": 0.25, "step": best, "epoch": 1}}
        writer.save(arrays, {"step": step, "epoch": step // 10, "progress": progress})
    writer.close()
    records = [
        {"step": 10, "epoch": 1, "split": "train", "loss": 9.0},
        {"step": 10, "epoch": 1, "split": "validation", "loss": 1.5, "pearson": 0.25},
        {"step": 20, "epoch": 2, "split": "validation", "loss": float("nan"), "pearson": 0.125},
    ]
    run.metrics.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Read it, never write to it."""
    return make_run(tmp_path_factory.mktemp("inspect") / "run")


def invoke(*arguments):
    return CliRunner().invoke(main, ["inspect", *map(str, arguments)])


def from_json(*arguments):
    result = invoke(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def independent_digest(params):
    sha = hashlib.sha256()
    for path in sorted(params):
        sha.update(f"{path} {params[path].dtype} {params[path].shape}".encode() + params[path].tobytes("C"))
    return sha.hexdigest()


def flip_a_bit(checkpoint: Path) -> Path:
    file = max((checkpoint / "state").rglob("d/*"), key=lambda file: file.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    return file


def test_json_gives_the_tree_counts_digests_and_scores_of_each_checkpoint(run):
    report = from_json(run)
    assert (report["schema"], report["path"], report["config"]) == (1, str(run), CONFIG)
    assert report["run"]["versions"] == {"jax": "0.8.0"}
    first, second = report["checkpoints"]
    assert (first["step"], first["epoch"], first["best"], first["damaged"]) == (10, 1, True, None)
    assert (second["step"], second["epoch"], second["best"]) == (20, 2, False)
    assert first["metrics"] == {"loss": 1.5, "pearson": 0.25}
    assert second["metrics"] == {"loss": None, "pearson": 0.125}  # NaN is not JSON
    assert first["parameters"] == 3 + 24 + 6 + 2
    assert first["leaves"]["params"] == {
        "backbone.conv.bias": {"shape": [3], "dtype": "float32", "bytes": 12},
        "backbone.conv.kernel": {"shape": [2, 4, 3], "dtype": "float32", "bytes": 96},
        "head.kernel": {"shape": [3, 2], "dtype": "float32", "bytes": 24},
        "head.scale": {"shape": [2], "dtype": "bfloat16", "bytes": 4},
    }
    assert first["leaves"]["step"] == {"value": {"shape": [], "dtype": "int32", "bytes": 4}}
    files = [file for file in (run / "checkpoints" / "10").rglob("*") if file.is_file()]
    assert first["bytes"] == sum(len(file.read_bytes()) for file in files)
    assert {entry["digest"] for entry in report["checkpoints"]} == {independent_digest(PARAMS)}
    assert "stats" not in first
    assert "diff" not in report


@pytest.mark.parametrize(("inside", "steps"), [("checkpoints", [10, 20]), ("checkpoints/10", [10])])
def test_the_checkpoints_folder_and_one_checkpoint_are_found_with_their_run(run, inside, steps):
    report = from_json(run / inside)
    assert [entry["step"] for entry in report["checkpoints"]] == steps
    assert report["config"] == CONFIG
    assert report["checkpoints"][0]["best"]
    assert report["checkpoints"][0]["metrics"]["pearson"] == 0.25


def test_a_checkpoint_is_found_from_inside_it_and_without_its_run(run, tmp_path, monkeypatch):
    alone = tmp_path / "20"
    alone.symlink_to(run / "checkpoints" / "20")
    report = describe(alone)
    assert (report["run"], report["config"], report["checkpoints"][0]["metrics"]) == (None, None, {})
    monkeypatch.chdir(run / "checkpoints" / "20")
    assert [entry["step"] for entry in describe(Path())["checkpoints"]] == [20]


def test_stats_verify_the_digest_and_give_the_finite_values_figures(run, monkeypatch):
    monkeypatch.chdir(run.parent)  # a relative path must do
    entry = from_json(run.name, "--stats")["checkpoints"][0]
    assert entry["verified"]
    assert entry["digest"] == independent_digest(PARAMS)
    kernel = PARAMS["backbone.conv.kernel"].astype(np.float64)
    assert entry["stats"]["params"]["backbone.conv.kernel"] == pytest.approx(
        {"norm": np.linalg.norm(kernel), "mean": kernel.mean(), "std": kernel.std(), "nan": 0, "inf": 0}
    )
    finite = np.array([1.0, 3.0, 5.0])
    assert entry["stats"]["params"]["head.kernel"] == pytest.approx(
        {"norm": np.sqrt(35), "mean": 3.0, "std": finite.std(), "nan": 2, "inf": 1}
    )
    assert entry["stats"]["params"]["head.scale"]["mean"] == 1.25
    assert entry["stats"]["stats"]["m"]["norm"] == 2.0


def test_statistics_and_difference_do_not_depend_on_the_blocks(monkeypatch):
    monkeypatch.setattr(leaves, "_BLOCK", 7)
    rng = np.random.default_rng(0)
    a, b = rng.normal(3, 2, (2, 5, 9)).astype(np.float32)
    found = leaves.statistics(a)
    x, y = a.astype(np.float64), b.astype(np.float64)
    assert found == pytest.approx(
        {"norm": np.linalg.norm(x), "mean": x.mean(), "std": x.std(), "nan": 0, "inf": 0}, rel=1e-12
    )
    relative = np.linalg.norm(x - y) / max(np.linalg.norm(x), np.linalg.norm(y))
    assert leaves.difference(a, b) == pytest.approx(
        {"relative": relative, "max_abs": np.abs(x - y).max()}, rel=1e-12
    )
    assert leaves.statistics(np.full(3, np.nan))["mean"] is None
    assert leaves.statistics(np.zeros((0, 4)))["norm"] is None


@pytest.mark.parametrize("stats", [True, False])
def test_a_flipped_bit_is_reported_under_stats(tmp_path, stats):
    run = make_run(tmp_path / "run")
    file = flip_a_bit(run / "checkpoints" / "20")
    result = invoke(run, "--json", *(["--stats"] if stats else []))
    damaged = [entry["damaged"] for entry in json.loads(result.stdout)["checkpoints"]]
    assert damaged[0] is None
    assert result.exit_code == int(stats)
    if stats:
        assert file.name in damaged[1]
        assert "SHA-256" in damaged[1]
        assert f"error: {run}: 1 damaged checkpoint(s)" in result.stderr


def test_parameters_that_are_not_those_of_the_meta_file_are_damage(tmp_path):
    """Files that agree with their manifest, and a digest that was another's."""
    run = make_run(tmp_path / "run", steps=(10,))
    folder = run / "checkpoints" / "10"
    meta = (folder / "meta.json").read_bytes().replace(independent_digest(PARAMS).encode(), b"0" * 64)
    (folder / "meta.json").write_bytes(meta)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["meta.json"] = hashlib.sha256(meta).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    entry = describe(run, stats=True)["checkpoints"][0]
    assert "digest" in entry["damaged"]
    assert entry["digest"] == independent_digest(PARAMS)


def test_arrays_that_fit_no_memory_or_are_all_but_nothing_packed_are_not_read(run, tmp_path, monkeypatch):
    """Zeros pack without limit: 4 MB of them lie in a few thousand bytes here, as 2^34 of them would."""
    monkeypatch.setattr(arrays, "memory", lambda: 100)
    faults = [entry["damaged"] for entry in describe(run, stats=True)["checkpoints"]]
    assert all("more than the 0.0 GB of memory here; they are not read" in fault for fault in faults)
    with pytest.raises(UserError, match="its arrays would take"):
        describe(run, other=run)
    monkeypatch.undo()
    monkeypatch.setattr(arrays, "_LARGE", 2**20)
    monkeypatch.setattr(arrays, "_RATIO", 100)
    zeros = make_run(tmp_path / "zeros", {"w": np.zeros(2**20, np.float32)}, steps=(10,))
    (entry,) = describe(zeros, stats=True)["checkpoints"]
    size = 4 * 2**20 + 4 * 8 + 4  # w, m of float64, step
    assert re.search(
        rf"state: its [\d,]+ bytes would unpack to {size:,}; a checkpoint like", entry["damaged"]
    )


@pytest.mark.parametrize("name", ["meta.json", "manifest.json", "state/_METADATA"])
def test_a_file_that_is_missing_is_reported_without_stats(tmp_path, name):
    run = make_run(tmp_path / "run")
    (run / "checkpoints" / "20" / name).unlink()
    result = invoke(run)
    assert result.exit_code == 1
    assert name in result.stderr
    assert "damaged" in result.stdout


def test_diff_of_equal_runs_says_identical(run):
    diff = from_json(run, "--diff", run / "checkpoints" / "10")["diff"]
    assert diff["identical"] is True
    assert diff["steps"] == [20, 10]
    changed = {name for name, leaf in diff["leaves"].items() if leaf["max_abs"] != 0}
    assert changed == {"step.value"}
    assert [diff[part] for part in ("config", "run", "only_here", "only_there", "shapes")] == [
        [],
        [],
        [],
        [],
        {},
    ]
    assert "identical" in invoke(run, "--diff", run).output


def test_diff_names_what_differs(tmp_path):
    here = {
        "a": np.array([3.0, 4.0]),
        "b": np.array([1.0, 2.0, 2.0]),
        "c": np.zeros(2),
        "d": np.array([np.nan]),
    }
    there = {
        "a": np.zeros(2),
        "b": np.array([1.0, 2.0, 1.0]),
        "c": np.zeros(3),
        "d": np.array([np.nan]),
        "e": here["a"],
    }
    config = CONFIG | {"optimizer": {"type": "Adam", "lr": 0.2}}
    left = make_run(tmp_path / "left", here, steps=(10,))
    right = make_run(
        tmp_path / "right", there, steps=(10,), config=config, info=INFO | {"versions": {"jax": "0.9.0"}}
    )
    diff = from_json(left, "--diff", right)["diff"]
    assert diff["identical"] is False
    assert diff["config"] == ["optimizer.lr: 0.1 -> 0.2"]
    assert diff["run"] == ['versions.jax: "0.8.0" -> "0.9.0"']
    assert (diff["only_here"], diff["only_there"]) == ([], ["params.e"])
    assert diff["shapes"] == {"params.c": ["float64[2]", "float64[3]"]}
    assert list(diff["leaves"])[:2] == ["params.a", "params.b"]  # the largest first
    assert diff["leaves"]["params.a"] == {"relative": 1.0, "max_abs": 4.0}
    assert diff["leaves"]["params.b"] == pytest.approx({"relative": 1 / 3, "max_abs": 1.0})
    assert diff["leaves"]["params.d"] == {"relative": 0.0, "max_abs": 0.0}
    text = invoke(left, "--diff", right).output
    for words in (
        "optimizer.lr: 0.1 -> 0.2",
        "0.8.0",
        "only there: params.e",
        "float64[2]",
        "0.3333",
        "different",
    ):
        assert words in text


def test_diff_refuses_a_damaged_checkpoint(run, tmp_path):
    other = make_run(tmp_path / "run", steps=(10,))
    flip_a_bit(other / "checkpoints" / "10")
    with pytest.raises(UserError, match="SHA-256"):
        describe(run, other=other)


def test_the_terminal_shows_modules_with_subtotals_in_80_columns(run):
    lines = invoke(run).output.splitlines()
    assert max(map(len, lines)) <= 80
    cells = [line.split() for line in lines]
    assert ["backbone.conv", "float32", "27", "108", "B"] in cells
    assert ["bias", "3", "float32", "3", "12", "B"] in cells
    assert ["kernel", "2x4x3", "float32", "24", "96", "B"] in cells
    assert ["head", "mixed", "8", "28", "B"] in cells
    assert ["params", "mixed", "35", "136", "B"] in cells
    assert ["stats", "float64", "4", "32", "B"] in cells
    assert any(cell[:3] == ["10", "*", "1"] for cell in cells)
    stats = [line.split() for line in invoke(run, "--stats").output.splitlines()]
    assert ["head", "6.185", "2", "1"] in stats  # sqrt(35 + 1 + 2.25), NaN, inf


def test_what_trains_is_shown_by_layer_with_equal_neighbours_merged(tmp_path):
    def entry(layer, parameters, trains="yes", rate=0.5, after=0.0, statistics=None, arrays=2):
        return {
            "layer": layer, "arrays": arrays, "parameters": parameters, "trains": trains, "rate": rate,
            "after_epoch": after, "statistics": statistics,
        }  # fmt: skip

    never = {"trains": "no", "rate": None, "after": None, "statistics": "frozen"}
    table = [
        *(entry(f"block{k}", 1000 + k, **never) for k in range(3)),
        entry("block3", 1000, **never),
        entry("block3", 10, rate=0.25, statistics="train", arrays=1),
        entry("block4", 2000, **never),
        entry("block4", 20, rate=0.25, statistics="train", arrays=1),
        entry("block5", 300, after=2.5, statistics="train"),
        entry("block6", 300, trains="unread", rate=None, after=None),
        entry("readout", 70, rate=1e-05),
    ]
    run = make_run(tmp_path / "run", info={**INFO, "finetune": table})
    lines = invoke(run).output.splitlines()
    assert max(map(len, lines)) <= 80
    first = next(k for k, line in enumerate(lines) if line.startswith("training"))
    assert [" ".join(line.split()) for line in lines[first + 3 : first + 9]] == [
        "block0 .. block2 3,003 - never frozen",
        "block3 .. block4: 4 arrays 3,000 - never frozen",
        "block3 .. block4: 2 arrays 30 0.25 yes trains",
        "block5 300 0.5 after epoch 2.5 trains",
        "block6 300 - never: not read -",
        "readout 70 1e-05 yes -",
    ]
    assert from_json(run)["run"]["finetune"] == table
    assert "training" not in invoke(make_run(tmp_path / "older")).output


def test_rows_count_numbers_and_join_modules_with_one_thing():
    named = {
        f"layers.{k}.conv.kernel": {"shape": [k], "dtype": "float32", "bytes": 4 * k} for k in (10, 9, 0)
    }
    found = [
        (row.depth, row.name, row.is_leaf) for row in rows({**named, "bias": named["layers.0.conv.kernel"]})
    ]
    assert found == [
        (0, "bias", True),
        (0, "layers", False),
        (1, "0.conv.kernel", True),
        (1, "9.conv.kernel", True),
        (1, "10.conv.kernel", True),
    ]


def test_a_ridge_regression_is_named_with_its_encoders(tmp_path):
    def encoder(name, layers, **model):
        return {"type": "ImageEncoder", "name": name, "model": {"type": "LeNet5", **model}, "layers": layers}

    blocks = [f"block{k}" for k in range(6)]
    config = {
        "type": "Ridge",
        "data": {"type": "KaggleTable"},
        "encoders": [encoder("", blocks, pretrained="lenet.pth"), encoder("b", [], pretrained=None)],
    }
    lines = invoke(make_run(tmp_path / "run", config=config)).stdout.splitlines()
    found = [line.partition("  ")[2].strip() for line in lines if line.startswith(("config", "encoder"))]
    assert found == [
        "Ridge, KaggleTable",
        "LeNet5; lenet.pth; block0, block1, block2, block3 and 2 more",
        "b; LeNet5; random weights; its last layer",
    ]


def test_weights_of_texts_are_named_beside_those_of_images_or_alone(tmp_path):
    text = {"source": "MiniLM", "sha256": "b" * 64}
    for name, own in (("alone", {}), ("both", {"source": "LeNet.pth", "sha256": "a" * 64})):
        info = {**INFO, "weights": {**own, "text": text}}
        said = invoke(make_run(tmp_path / name, info=info, steps=())).stdout
        assert f"weights of texts  MiniLM (SHA-256 {'b' * 12})" in said
        assert ("LeNet.pth (SHA-256" in said, "None (SHA" in said) == (bool(own), False)


def test_a_run_without_checkpoints_is_shown_with_what_was_amiss(tmp_path):
    run = make_run(tmp_path / "run", steps=())
    notices = [Notice(step, 3, "stall", 40.0, "no step for [b]40 s") for step in (1_000, 2_000)]
    (run / FILE).write_text("".join(map(line, notices)) + "no notice\n")
    output = invoke(run).output
    assert "no checkpoint yet" in output
    assert "amiss     step 2,000, 2 times: no step for [b]40 s" in output
    report = from_json(run)
    assert report["checkpoints"] == []
    assert report["notices"] == [
        {
            "step": 2000,
            "epoch": 3,
            "kind": "stall",
            "value": 40.0,
            "text": "no step for [b]40 s",
            "about": "",
            "times": 2,
        }
    ]


@pytest.mark.parametrize("made", ["nothing", "file", "folder"])
def test_other_paths_are_refused_with_what_was_expected(tmp_path, made):
    path = tmp_path / made
    if made == "file":
        path.write_text("")
    if made == "folder":
        path.mkdir()
        (path / "notes.txt").write_text("")
    result = invoke(path)
    assert result.exit_code == 1
    assert f"{path}: expected a run directory" in result.stderr
    assert {"nothing": "nothing there", "file": "a file", "folder": "notes.txt"}[made] in result.stderr


def test_the_tree_of_another_tools_orbax_checkpoint(tmp_path):
    import orbax.checkpoint as ocp

    tree = {"params": {"dense": {"kernel": np.zeros((3, 4), ml_dtypes.bfloat16)}}, "step": np.int64(3)}
    for folder in (tmp_path / "plain", tmp_path / "managed" / "default"):
        with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
            checkpointer.save(folder, tree)
    for folder in (tmp_path / "plain", tmp_path / "managed"):
        entry = from_json(folder)["checkpoints"][0]
        assert entry["leaves"] == {
            "params": {"dense.kernel": {"shape": [3, 4], "dtype": "bfloat16", "bytes": 24}},
            "step": {"value": {"shape": [], "dtype": "int64", "bytes": 8}},
        }
        assert (entry["parameters"], entry["digest"], entry["step"]) == (12, None, None)
    assert "dense.kernel" in invoke(tmp_path / "plain").output
    with pytest.raises(UserError, match="another tool's"):
        describe(tmp_path / "plain", stats=True)


@pytest.mark.parametrize("kind", ["safetensors", "msgpack"])
def test_weights_that_others_wrote(run, tmp_path, kind):
    """By the library that defines each format; figures by hand."""
    from flax import serialization
    from safetensors.numpy import save_file

    file, kernel = tmp_path / f"weights.{kind}", np.array([[3.0, 4.0], [0.0, 5.0]], np.float32)
    if kind == "safetensors":
        save_file({"dense.kernel": kernel}, file)
    else:
        file.write_bytes(serialization.to_bytes({"params": {"dense": {"kernel": kernel}}, "step": 3}))
    (entry,) = describe(file, stats=True)["checkpoints"]
    assert entry["leaves"]["params"] == {"dense.kernel": {"shape": [2, 2], "dtype": "float32", "bytes": 16}}
    assert entry["stats"]["params"]["dense.kernel"]["norm"] == pytest.approx(np.sqrt(50))
    assert entry["stats"]["params"]["dense.kernel"]["mean"] == 3
    assert (entry["parameters"], entry["bytes"]) == (4, file.stat().st_size)
    assert "dense.kernel" in invoke(file).output
    for here, there in ((file, run), (run, file)):
        assert "another tool's" in invoke(here, "--diff", str(there)).stderr


def test_a_damaged_file_of_weights_is_one_sentence(tmp_path):
    file = tmp_path / "weights.msgpack"
    file.write_bytes(b"\x81\xa6params")
    result = invoke(file)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {file}: expected msgpack as Flax writes it")
    file.write_bytes(b"\x93\x01\x02\x03")  # three numbers, as any text may begin
    assert f"{file}: expected arrays, found none" in invoke(file).stderr


def test_arrays_in_lists_go_by_their_place(tmp_path):
    from flax import serialization

    file = tmp_path / "weights.msgpack"
    file.write_bytes(serialization.msgpack_serialize({"params": [np.ones(2), {"kernel": np.ones((2, 3))}]}))
    (entry,) = describe(file)["checkpoints"]
    assert {path: leaf["shape"] for path, leaf in entry["leaves"]["params"].items()} == {
        "0": [2],
        "1.kernel": [2, 3],
    }


@pytest.mark.parametrize("flags", [[], ["--stats"]])
def test_no_device_is_started(run, flags):
    """Not at all where no array is read, else the CPU alone: a platform that cannot start is never asked for."""
    code = """
import sys
from jaxlab.cli.main import main
main([*sys.argv[1:], "--json"], standalone_mode=False)
bridge = sys.modules.get("jax._src.xla_bridge")
print(sorted(bridge._backends) if bridge else [], file=sys.stderr)
"""
    found = subprocess.run(
        [sys.executable, "-c", code, "inspect", str(run), *flags],
        env={**os.environ, "JAX_PLATFORMS": "cuda"},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    assert found.stderr.splitlines()[-1] == ("['cpu']" if flags else "[]")
    assert json.loads(found.stdout)["checkpoints"][0]["digest"] == independent_digest(PARAMS)


# The kind: config.json and run.json that are JSON, and of another shape than jaxlab writes, wherever in them.
ENTRY = {
    "layer": "a",
    "arrays": 1,
    "parameters": 3,
    "rate": 0.1,
    "trains": "yes",
    "after_epoch": 0,
    "statistics": None,
}
SHAPES = [
    ({**CONFIG, "optimizer": {}}, INFO),
    ({**CONFIG, "optimizer": {"type": 3}}, INFO),
    ({**CONFIG, "objectives": {"a": 1}}, INFO),
    ({"type": "Folds", "folds": 10**11}, INFO),
    ({"type": "Folds", "folds": 2.5}, INFO),
    ({"type": "Folds", "folds": 2, "experiment": [1]}, INFO),
    (CONFIG, {**INFO, "versions": [1]}),
    (CONFIG, {**INFO, "soup": {"members": 3}}),
    (CONFIG, {**INFO, "finetune": [True]}),
    *((CONFIG, {**INFO, "finetune": [{**ENTRY, name: [None]}]}) for name in ENTRY),
    *((CONFIG, {**INFO, "finetune": [{key: ENTRY[key] for key in ENTRY if key != name}]}) for name in ENTRY),
]


@pytest.mark.parametrize(("config", "info"), SHAPES, ids=range(len(SHAPES)))
def test_records_of_another_shape_are_one_message(tmp_path, config, info):
    run = RunDirectory(tmp_path / "run")
    run.create(config, None, info)
    result = CliRunner().invoke(main, ["inspect", str(run.path)])
    assert isinstance(result.exception, SystemExit | None), repr(result.exception)
    assert result.exit_code == 0 or len(result.stderr.strip().splitlines()) == 1


def test_names_in_records_are_no_markup(tmp_path):
    """Nor emoji: of layers, scores, objectives, dtypes and runs."""
    odd = "a[/b]:cat:[red]"
    entries = [{**ENTRY, "layer": odd}]
    run = make_run(tmp_path / "run", {odd: np.ones(2)}, info={**INFO, "commit": odd, "finetune": entries})
    record = {"step": 20, "epoch": 2, "split": "validation", odd: 0.5}
    (run / "metrics.jsonl").write_text(json.dumps(record) + "\n")
    for arguments in (
        [],
        ["--stats"],
        ["--diff", str(make_run(tmp_path / odd.replace("/", ""), {odd: np.zeros(2)}))],
    ):
        result = CliRunner().invoke(main, ["inspect", str(run), *arguments])
        assert result.exit_code == 0, repr(result.exception)
        assert result.stdout.count(odd) >= 3, result.stdout

"""Where a step's time goes: from traces made by hand, and from one that JAX made of a loop."""

import gzip
import json
import re
import time
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from test_loop import PLAN, Losses, fitted

from jaxlab.core.scopes import STAGE, scope
from jaxlab.core.types import UserError
from jaxlab.training.profiling import wire
from jaxlab.training.profiling.operations import kinds_in
from jaxlab.training.profiling.recorder import Recorder, read
from jaxlab.training.profiling.table import device_rows, host_rows, table
from jaxlab.training.profiling.timeline import Spent, spent_in


def test_fields_are_those_that_protobuf_writes():
    made = FileDescriptorProto(
        name="ä.proto", dependency=["one", "two"], public_dependency=[0, 300, 2**31 - 1]
    )
    made.options.java_multiple_files = True
    raw = memoryview(made.SerializeToString())
    assert wire.text(raw, 1) == "ä.proto"
    assert [bytes(one).decode() for one in wire.messages(raw, 3)] == ["one", "two"]
    assert wire.numbers(raw, 10) == [0, 300, 2**31 - 1]
    (options,) = wire.messages(raw, 8)
    assert wire.numbers(options, 10) == [1]
    for cut in (raw[:-1], memoryview(b"\x0f")):
        with pytest.raises(ValueError, match=r"message|wire type"):
            list(wire.fields(cut))


def written(path, events):
    with gzip.open(path, "wt") as file:
        json.dump({"traceEvents": events}, file)
    return path


def ran(name, start, end, thread=1, process=1, **arguments):
    return {
        "ph": "X",
        "pid": process,
        "tid": thread,
        "ts": start,
        "dur": end - start,
        "name": name,
        "args": arguments,
    }


def named(kind, name, process, thread=None):
    return {"ph": "M", "pid": process, "tid": thread, "name": kind, "args": {"name": name}}


KINDS = {
    "jit_step": {"conv.1": "convolution", "fusion.2": "loss", "while.3": "control", "add.4": "optimizer"}
}


def test_of_operations_within_others_each_has_its_own_time(tmp_path):
    """On a CPU: two devices, of which one runs two operations at once for 10 us."""

    def op(name, *when, device, thread):
        return ran(name, *when, thread=thread, hlo_op=name, hlo_module="jit_step", device_ordinal=device)

    events = [
        op("conv.1", 0, 100, device="0", thread=1),
        op("fusion.2", 90, 120, device="0", thread=2),
        op("while.3", 120, 200, device="0", thread=1),
        op("add.4", 130, 160, device="0", thread=1),
        op("unknown.9", 100, 150, device="1", thread=3),
        ran("end: conv.1", 100, 101, thread=1),
        ran(f"{STAGE}dispatch", 0, 40, thread=9),
        ran(f"{STAGE}dispatch", 100, 150, thread=9),
        ran(f"{STAGE}waiting for data", 40, 60, thread=9),
        ran("something else", 0, 400, thread=9),
    ]
    spent = spent_in(written(tmp_path / "a.trace.json.gz", events), KINDS, steps=2, seconds=400e-6)
    us = 1e-6 / 2 / 2  # two steps, two devices
    assert spent.device == pytest.approx(
        {"convolution": 100 * us, "loss": 30 * us, "optimizer": 30 * us, "the rest": 50 * us}
    )
    assert spent.busy == pytest.approx((120 + 30 + 50) * us)
    assert spent.host == pytest.approx({"dispatch": 45e-6, "waiting for data": 10e-6})
    assert (spent.devices, spent.wall) == (2, pytest.approx(200e-6))
    assert spent.idle == pytest.approx(150e-6)
    assert dict(host_rows(spent)) == pytest.approx(
        {"dispatch": 0.225, "waiting for data": 0.05, "the rest": 0.725}
    )
    rows = dict(device_rows(spent))
    assert rows["idle"] == pytest.approx(0.75)
    assert rows["convolution"] == pytest.approx(0.25 * 100 / 210)
    assert sum(rows.values()) == pytest.approx(1)
    assert "each of 2 devices" in table(spent)


def test_of_an_accelerator_its_streams_count_and_copies_to_it(tmp_path):
    """Not the lines that say the same once more, nor what the host does of the same name."""
    events = [
        named("process_name", "/device:GPU:0", 7),
        named("process_name", "/host:CPU", 1),
        named("thread_name", "Stream #14(Compute)", 7, 14),
        named("thread_name", "Stream #15(MemcpyH2D)", 7, 15),
        named("thread_name", "XLA Modules", 7, 20),
        ran("sm90_xmma_fprop", 0, 60, thread=14, process=7, hlo_op="conv.1", hlo_module="jit_step"),
        ran("fusion_2", 60, 80, thread=14, process=7, hlo_op="fusion.2", hlo_module="jit_step"),
        ran("MemcpyH2D", 0, 30, thread=15, process=7, bytes="4096"),
        ran("jit_step", 0, 80, thread=20, process=7, hlo_module="jit_step", hlo_op="jit_step"),
    ]
    spent = spent_in(written(tmp_path / "a.trace.json.gz", events), KINDS, steps=1, seconds=100e-6)
    assert spent.device == pytest.approx({"convolution": 60e-6, "loss": 20e-6, "copies": 30e-6})
    assert spent.busy == pytest.approx(80e-6)
    assert spent.devices == 1


def test_a_trace_without_operations_has_the_host_alone(tmp_path):
    spent = spent_in(written(tmp_path / "a.trace.json.gz", [ran(f"{STAGE}dispatch", 0, 10)]), {}, 1, 20e-6)
    assert spent == Spent(1, 20e-6, {"dispatch": pytest.approx(10e-6)})
    assert "device" not in table(spent)
    for content in (b"{}", gzip.compress(b"[]"), gzip.compress(b'{"traceEvents"')):
        (tmp_path / "bad.trace.json.gz").write_bytes(content)
        with pytest.raises((ValueError, OSError)):
            spent_in(tmp_path / "bad.trace.json.gz", {}, 1, 1.0)


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """A loop of 12 steps in three epochs, of which 4 are traced: its output, the folder, and the program's text."""
    folder = tmp_path_factory.mktemp("traced")

    def network(x, kernel, weights):
        with scope("augmentation"):
            x = jnp.sin(x)
        with scope("convolution"):
            x = jax.lax.conv_general_dilated(
                x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
        with scope("normalisation"):
            x = x / jnp.sqrt(jnp.square(x).mean((0, 1, 2), keepdims=True) + 1e-5)
        return jnp.tanh(x.mean((1, 2)) @ weights).sum()

    rng = np.random.default_rng(0)
    arguments = (rng.normal(size=(8, 32, 32, 3)), rng.normal(size=(3, 3, 3, 16)), rng.normal(size=(16, 200)))
    arguments = tuple(jnp.asarray(one, jnp.float32) for one in arguments)
    gradient = jax.jit(jax.value_and_grad(network, (1, 2)))
    plain = Losses()

    def step(state, batch):
        value, _ = gradient(*arguments)
        state, reported = plain(state, batch)
        return state, {**reported, "value": value}

    said = []
    fitted(folder / "run", step=step, recorder=Recorder(folder / "profile", 9, PLAN, said.append))
    text = gradient.lower(*arguments).compile().as_text()
    return SimpleNamespace(folder=folder / "profile", said="\n".join(said), text=text)


def test_a_loop_is_traced_once_it_is_warm_within_an_epoch(traced):
    """Of nine steps that were asked for an epoch has room for four, without the validation at its end."""
    (trace,) = traced.folder.glob("plugins/profile/*/*.trace.json.gz")
    with gzip.open(trace, "rt") as file:
        stages = Counter(one.get("name") for one in json.load(file)["traceEvents"])
    assert stages[f"{STAGE}dispatch"] == stages[f"{STAGE}waiting for data"] == 4
    assert "profile: 4 steps, " in traced.said
    assert str(trace) in traced.said
    summary = json.loads((traced.folder / "summary.json").read_text())
    assert (summary["schema"], summary["steps"], summary["trace"]) == (
        1,
        4,
        str(trace.relative_to(traced.folder)),
    )
    assert 0 < summary["busy"] < summary["wall"]
    assert {"convolution", "augmentation", "normalisation"} <= set(summary["device"])
    assert sum(summary["host"].values()) < summary["wall"]


def test_kinds_of_operations_are_those_that_the_programs_text_says(traced):
    """By XLA's own printing of the metadata, of what is neither fused nor heavy: there the scope alone decides."""
    (programs,) = traced.folder.glob("plugins/profile/*/*.xplane.pb")
    kinds = kinds_in(programs)["jit_network"]
    printed = re.findall(r'%?([\w.-]+) = .*? ([a-z-]+)\(.*metadata={op_name="([^"]*)"', traced.text)
    looked_at = Counter()
    for name, opcode, traced_from in printed:
        scopes = re.findall(r"jaxlab_(\w+)", traced_from)
        if opcode in ("fusion", "while", "call", "custom-call") or name not in kinds or not scopes:
            continue
        assert kinds[name] == scopes[-1], (name, traced_from)
        looked_at[scopes[-1]] += 1
    assert {"convolution", "augmentation", "normalisation"} <= set(looked_at)
    assert "matrix products" in kinds.values()


@pytest.mark.parametrize(("steps", "each", "made"), [(12, 12, 8), (3, 3, None), (8, 1, 1)])
def test_where_there_is_no_room_for_a_profile_that_is_said(tmp_path, monkeypatch, steps, each, made):
    """steps: of the run; each: in an epoch; made: how many are traced."""
    began, ended, said = [], [], []
    monkeypatch.setattr(jax.profiler, "start_trace", lambda *_, **__: began.append(time.monotonic()))
    monkeypatch.setattr(jax.profiler, "stop_trace", lambda: ended.append(time.monotonic()))
    told = []
    recorder = Recorder(
        tmp_path / "profile", 8, replace(PLAN, steps=steps, steps_per_epoch=each), said.append
    )
    monkeypatch.setattr(recorder, "_tell", lambda folder, count, seconds: told.append(count))
    with recorder:
        for number, _ in enumerate(recorder.fed(iter(range(steps))), 1):
            recorder.stepped(number, number == 1, jnp.zeros(()))
    assert told == ([] if made is None else [made])
    assert len(began) == len(ended) == len(told)
    assert bool(said) == (made is None)
    assert (
        made is not None or "profile: none was made: it takes 3 steps after one that was compiled" in said[0]
    )


def test_a_profile_that_cannot_be_written_or_read_ends_no_training(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match="profile could not be written"),
        Recorder(tmp_path / "file/profile", 2, PLAN),
    ):
        pass
    said = []

    def full():
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(jax.profiler, "start_trace", lambda *_, **__: None)
    monkeypatch.setattr(jax.profiler, "stop_trace", full)
    with Recorder(tmp_path / "profile", 2, PLAN, said.append) as recorder:
        for number, _ in enumerate(recorder.fed(iter(range(12))), 1):
            recorder.stepped(number, number == 1, jnp.zeros(()))
    assert said == [f"profile: {tmp_path / 'profile'} could not be written (No space left on device)"]


def test_what_ends_a_training_is_told_though_its_steps_are_traced(tmp_path, monkeypatch):
    """As an image that cannot be read, of the batch after tracing began."""
    said = []

    def written():
        folder = tmp_path / "plugins/profile/now"
        folder.mkdir(parents=True)
        (folder / "host.xplane.pb").touch()
        (folder / "host.trace.json.gz").write_bytes(gzip.compress(b'{"traceEvents": []}'))

    def batches():
        yield from range(4)
        raise UserError("image 5 cannot be read")

    def trains():
        with Recorder(tmp_path, 2, PLAN, said.append) as recorder:
            for number, _ in enumerate(recorder.fed(batches()), 1):
                recorder.stepped(number, number == 1, jnp.zeros(()))

    monkeypatch.setattr(jax.profiler, "start_trace", lambda *_, **__: None)
    monkeypatch.setattr(jax.profiler, "stop_trace", written)
    with pytest.raises(UserError, match="image 5"):
        trains()
    words = "training ended before the first of its steps"
    assert said == [f"profile: what was traced could not be read ({words})"]


def test_a_profile_is_read_again_from_its_files(traced):
    (trace,) = traced.folder.glob("plugins/profile/*/*.trace.json.gz")
    again = read(trace, 4, 0.4)
    assert again.wall == pytest.approx(0.1)
    assert set(again.device) >= {"convolution", "augmentation", "normalisation"}

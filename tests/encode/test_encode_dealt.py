"""Jobs are dealt to devices: each at once, results in order, and a mistake of one is that of all."""

import threading

import jax
import jax.numpy as jnp
import pytest

from jaxlab.encode import dealt as dealing
from jaxlab.encode.dealt import dealt


@pytest.fixture
def four(monkeypatch):
    monkeypatch.setattr(dealing, "devices", jax.local_devices)


def test_each_device_has_a_job_at_the_same_time(four):
    all_there = threading.Barrier(4, timeout=20)

    def job(number: int) -> tuple[int, jax.Device]:
        if number < 4:
            all_there.wait()
        return number, jnp.zeros(1).device

    found = list(dealt(job, range(7)))
    assert [number for number, _ in found] == list(range(7))
    assert {device for _, device in found[:4]} == set(jax.local_devices())


def test_no_more_is_made_ahead_than_there_are_devices(four):
    taken = []
    results = dealt(lambda job: job, (taken.append(k) or k for k in range(9)))
    assert next(results) == 0
    assert taken == [0, 1, 2, 3]
    results.close()
    assert taken == [0, 1, 2, 3]


def test_the_error_of_a_job_comes_through(four):
    def job(number: int) -> int:
        if number == 2:
            raise MemoryError("no room")
        return number

    results = dealt(job, range(5))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(MemoryError, match="no room"):
        next(results)


def test_on_a_cpu_one_job_after_another():
    """In the caller's own thread: all cores are at one job."""
    assert set(dealt(lambda _: threading.get_ident(), range(3))) == {threading.get_ident()}

"""Signals that end a run politely."""

import os
import signal

import pytest

from jaxlab.training import interrupt as module
from jaxlab.training.interrupt import Interrupt


@pytest.fixture
def terminal():
    """One whose end would end the tests: under nohup it would not."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_asks_for_an_end_and_a_second_one_ends_at_once(name, terminal, monkeypatch):
    """Not one that comes with the first: the same, told to a process and passed on by its wrapper."""
    number = getattr(signal, name)
    before = signal.getsignal(number)
    with Interrupt() as interrupt:
        os.kill(os.getpid(), number)
        assert interrupt.asked
        os.kill(os.getpid(), number)
        monkeypatch.setattr(module, "TOGETHER", 0.0)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) == before


def test_under_nohup_a_closed_terminal_says_nothing():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupt() as interrupt:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not interrupt.asked
    finally:
        signal.signal(signal.SIGHUP, before)

"""A checkpoint on other numbers of devices than the tests' own, each in a process of its own: tools/restores.py."""

import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "restores.py"


@pytest.mark.exhaustive
def test_a_training_moves_from_4_devices_to_1_to_8_and_so_does_one_of_0_1(tmp_path):
    done = subprocess.run(
        [sys.executable, str(TOOL), "--folder", str(tmp_path)], capture_output=True, encoding="utf-8"
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(lines) == 11
    assert all(line.startswith("ok ") for line in lines)

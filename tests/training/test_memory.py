"""Memory given back is taken anew without page faults."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import numpy as np
from jaxlab.training.memory import keep_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(16 << 20, np.uint8)  # 4,096 pages of 4 kB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

given_back = [faults(), faults()][1]
keep_memory()
print(given_back, [faults(), faults()][1])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_a_second_array_finds_the_pages_of_the_first():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    given_back, kept = map(int, done.stdout.split())
    assert kept < 100, f"{kept} page faults, {given_back} without"

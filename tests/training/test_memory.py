"""Memory given back is taken anew without page faults."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
from jaxlab.training.memory import keep_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    b"x" * (size << 20)  # 64 MB are 16,384 pages of 4 kB; glibc by itself keeps no more than 32 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

size = 64
given_back = [faults(), faults()][1]
keep_memory()
print(given_back, [faults(), faults()][1])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_a_second_array_finds_the_pages_of_the_first():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    given_back, kept = map(int, done.stdout.split())
    if given_back < 10_000:
        pytest.skip("this system's pages are huge, or memory is kept, without our doing")
    assert kept < 100

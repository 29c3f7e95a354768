"""Freed memory is kept on glibc, and a user's own setting wins."""

import subprocess
import sys
from types import SimpleNamespace

from workbench.commands import memory

# Filling a tensor beyond glibc's own limit maps new pages each time, unless freed memory is kept.
PROGRAM = """
import resource, sys
from workbench.commands.memory import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory() or sys.platform != "linux"
for _ in range(20):
    block = bytearray(64 * 2**20)
    del block
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


def page_faults(mode: str) -> int:
    ran = subprocess.run([sys.executable, "-c", PROGRAM, mode], capture_output=True, text=True, timeout=60, check=True)
    return int(ran.stdout)


def test_keeping_freed_memory_saves_page_faults():
    if sys.platform == "linux":
        assert page_faults("kept") < page_faults("as it is")


def test_a_setting_of_the_users_own_for_freed_memory_is_kept(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "")  # so that it is put back as it was
    monkeypatch.delenv("MALLOC_MMAP_THRESHOLD_")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: (_ for _ in ()).throw(OSError("no such library")))
    assert memory.keep_freed_memory() is False
    assert memory.os.environ["MALLOC_TRIM_THRESHOLD_"] == "131072"
    assert memory.os.environ["MALLOC_MMAP_THRESHOLD_"] == str(2**30)


def test_a_setting_beyond_a_c_integer_becomes_the_largest(monkeypatch):
    given = []
    monkeypatch.setattr(sys, "platform", "linux")
    for name in memory.KEEP_MEMORY:
        monkeypatch.setenv(name, str(2**32))
    glibc = SimpleNamespace(mallopt=lambda number, size: given.append(size) or 1)
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: glibc)
    assert memory.keep_freed_memory() is True
    assert given == [2**31 - 1] * 2

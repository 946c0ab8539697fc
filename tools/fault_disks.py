"""Disks that take no more, and files that are not as they were written."""

import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from fault_scene import Missed, Story

from jaxlab.training.checkpoint import saved

_ROOM = 64 << 20  # bytes of the disk, and
_NODES = 4000  # inodes, before it is filled


def can_mount(folder: Path) -> str | None:
    """Why no small disk can be had here, if so."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _system("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder))
        _system("umount", str(folder))
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        return f"no tmpfs can be mounted ({said.strip().splitlines()[-1]})"
    return None


def _on_a_small_disk(does: Callable[[Story, Path], None]) -> Callable[[Story], None]:
    """The run lies on a tmpfs of its own, and is brought back from it."""

    def hit(story: Story) -> None:
        outside, disk = story.run, story.run.parent / "disk"
        disk.mkdir()
        _system("mount", "-t", "tmpfs", "-o", f"size={_ROOM},nr_inodes={_NODES}", "tmpfs", str(disk))
        try:
            story.run = disk / "run"
            shutil.copytree(story.scene.half, story.run)
            shutil.copy(story.scene.half.parent / "saves", story.saves)
            story.look()
            does(story, disk)
            story.finish()
        finally:
            story.run = outside
            _system("umount", "-l", str(disk))

    return hit


def _full(story: Story, disk: Path) -> None:
    """So many bytes are left as a run to its end may need."""
    left = story.rng.randrange(600_000)
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    with (disk / "filler").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(free - left, 1))
    with story.start() as process:
        end = story.ended(process, (0, 1), "No space left on device")
    (disk / "filler").unlink()
    if end.returncode == 0:
        raise Missed


def _no_inodes(story: Story, disk: Path) -> None:
    left = story.rng.randrange(120)
    (disk / "filler").mkdir()
    for number in range(max(os.statvfs(disk).f_favail - left, 0)):
        (disk / "filler" / str(number)).touch()
    with story.start() as process:
        end = story.ended(process, (0, 1), "No space left on device")
    shutil.rmtree(disk / "filler")
    if end.returncode == 0:
        raise Missed


def _read_only(story: Story, disk: Path) -> None:
    _system("mount", "-o", "remount,ro", str(disk))
    with story.start() as process:
        story.ended(process, (1,), "Read-only file system")
    _system("mount", "-o", "remount,rw", str(disk))


DISKS = {
    "a full disk": _on_a_small_disk(_full),
    "no inodes left": _on_a_small_disk(_no_inodes),
    "a read-only directory": _on_a_small_disk(_read_only),
}


def _system(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


# -- damaged files


def cut(file: Path, rng: random.Random) -> None:
    """Any number of its last bytes are gone."""
    os.truncate(file, rng.randrange(file.stat().st_size or 1))


def flip(file: Path, rng: random.Random) -> None:
    """One bit is another; its times stay, as where a disk rots."""
    times = file.stat()
    raw = bytearray(file.read_bytes())
    if not raw:
        raise Missed
    raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    file.write_bytes(raw)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def _checkpoint(pattern: str) -> Callable[[Story], Path]:
    """A file of any checkpoint."""

    def choose(story: Story) -> Path:
        one = story.rng.choice(saved(story.run / "checkpoints"))
        story.damaged.add(one.step)
        return story.rng.choice(sorted(file for file in one.path.glob(pattern) if file.is_file()))

    return choose


def _of_run(name: str) -> Callable[[Story], Path]:
    def choose(story: Story) -> Path:
        story.records_damaged = name == "metrics.jsonl"
        found = sorted(story.run.parent.glob(name) if name == "registry.sqlite" else story.run.glob(name))
        return story.rng.choice(found)

    return choose


def _of_cache(pattern: str) -> Callable[[Story], Path]:
    """In a copy of the caches, which others use."""

    def choose(story: Story) -> Path:
        story.cache = story.run.parent / "cache"
        shutil.copytree(story.scene.cache, story.cache)
        return story.rng.choice(sorted(file for file in story.cache.glob(pattern) if file.is_file()))

    return choose


_FILES: dict[str, Callable[[Story], Path]] = {
    "state of a checkpoint": _checkpoint("state/**/*"),
    "meta.json": _checkpoint("meta.json"),
    "manifest.json": _checkpoint("manifest.json"),
    "metrics.jsonl": _of_run("metrics.jsonl"),
    "events": _of_run("events/*"),
    "config.json": _of_run("config.json"),
    "run.json": _of_run("run.json"),
    "config.py": _of_run("config.py"),
    "registry.sqlite": _of_run("registry.sqlite"),
    "lock": _of_run("lock"),
    "cached images": _of_cache("*.npy"),
    "compiled programs": _of_cache("xla/*"),
}


def _damaged(
    choose: Callable[[Story], Path], does: Callable[[Path, random.Random], None]
) -> Callable[[Story], None]:
    def hit(story: Story) -> None:
        story.from_half()
        does(choose(story), story.rng)

    return hit


FILES = {
    f"{name}, {what}": _damaged(choose, does)
    for name, choose in _FILES.items()
    for what, does in (("cut", cut), ("a bit flipped", flip))
}

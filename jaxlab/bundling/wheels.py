"""The wheels that an installation without network needs: jaxlab's own, and those of what is not there yet."""

import base64
import hashlib
import importlib.metadata
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from jaxlab.core.types import UserError

PYTHON = "3.12"  # of Kaggle's image, as is the rest
_IMAGE = Path(__file__).with_name("kaggle_image.txt")
_OLDEST = (3, 11)  # Python that jaxlab runs on
_MARKERS = {
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython", "os_name": "posix", "sys_platform": "linux",
    "platform_system": "Linux", "platform_machine": "x86_64",
}  # fmt: skip
_JAX = ("jax", "jaxlib")  # which a newer flax may ask for in a newer version than an image has
_PLATFORMS = ["manylinux2014_x86_64", *(f"manylinux_2_{minor}_x86_64" for minor in range(17, 36))]
_PINNED = re.compile(r"([A-Za-z0-9][\w.-]*)==([^\s;#]+)")
_UNREACHED = re.compile(r"connection broken by '(.*)': /")
_NOT_PACKED = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")


def own_wheel(folder: Path) -> Path:
    """jaxlab's wheel, written to `folder`: built from its checkout, or packed again from the files installed here."""
    root = Path(__file__).parents[2]
    if (root / "pyproject.toml").is_file():
        _pip("wheel", "--no-deps", "--wheel-dir", str(folder), str(root))
        return next(folder.glob("jaxlab-*.whl"))
    return _packed(importlib.metadata.distribution("jaxlab"), folder)


def _packed(installed: importlib.metadata.Distribution, folder: Path) -> Path:
    """The wheel that pip unpacked here, but for what pip added."""
    path = folder / f"jaxlab-{installed.version}-py3-none-any.whl"
    packed, record = [], []
    for file in installed.files or ():
        added = file.name in _NOT_PACKED and file.parts[0].endswith(".dist-info")
        if not added and file.suffix != ".pyc" and file.parts[0] != "..":  # the command in bin/ is made anew
            packed.append(file)
    info = next(file.parts[0] for file in packed if file.parts[0].endswith(".dist-info"))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for file in packed:
            content = file.read_binary()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{file},sha256={digest},{len(content)}\n")
            wheel.writestr(str(file), content)
        wheel.writestr(f"{info}/RECORD", "".join([*record, f"{info}/RECORD,,\n"]))
    return path


def everything(wheel: Path, python: str | None = None, extras: Sequence[str] = ()) -> None:
    """Put beside `wheel` all that it, with these extras, depends on, for this Python and machine, or another Python on
    64-bit Linux."""
    if python is None:
        _pip("download", "--only-binary=:all:", "--dest", str(wheel.parent), _with(wheel, extras))
    else:
        _bring(wheel, {}, (), python, extras)


def lacking(
    wheel: Path, freeze: Path | None = None, python: str | None = None, extras: Sequence[str] = ()
) -> list[str]:
    """Put beside `wheel` what Kaggle's image lacks of its dependencies, or has in too old a version; and name it.

    freeze: what `pip freeze` prints on Kaggle, where its image has changed since this version of jaxlab. python: that
    of an image to come; without a list of its packages it is taken to have those of today's, as old or newer, and what
    is brought to go with today's JAX. extras: of jaxlab's, which it is installed with there.
    """
    kept = _fitting(wheel, read_image(freeze or _IMAGE), extras)
    same = freeze is not None or python in (None, PYTHON)
    pins = [f"{name}{'==' if same or name in _JAX else '>='}{version}" for name, version in kept.items()]
    return _bring(wheel, kept, pins, python or PYTHON, extras)


def _with(wheel: Path, extras: Sequence[str]) -> str:
    """As pip takes it."""
    return f"{wheel}[{','.join(extras)}]" if extras else str(wheel)


def check_python(python: str) -> None:
    """Raises UserError for what is no version of Python that jaxlab runs on."""
    found = re.fullmatch(r"(\d+)\.(\d+)", python)
    if found is None or (int(found[1]), int(found[2])) < _OLDEST or int(found[1]) > 3:
        oldest = ".".join(map(str, _OLDEST))
        raise UserError(f"--python: expected {oldest} or newer, such as 3.13, found {python!r}")


def _bring(
    wheel: Path, kept: Mapping[str, str], pins: Sequence[str], python: str, extras: Sequence[str]
) -> list[str]:
    """Put beside `wheel` what it needs and is not `kept`, for that Python, and name it."""
    target = ["--only-binary=:all:", "--python-version", python, "--implementation", "cp"]
    target += [word for platform in _PLATFORMS for word in ("--platform", platform)]
    asked = [_with(wheel, extras)]
    while True:
        resolved = _resolved(asked, pins, target)
        needed = _needed(resolved, python, extras)
        unforeseen = [line for name in needed if name not in resolved for line in needed[name]]
        if not unforeseen:
            break
        asked += unforeseen
    absent = [f"{name}=={resolved[name]['version']}" for name in sorted(needed.keys() - kept.keys())]
    if absent:
        _pip("download", "--no-deps", *target, "--dest", str(wheel.parent), *absent)
    return absent


def _resolved(asked: Sequence[str], pins: Sequence[str], target: Sequence[str]) -> dict[str, dict[str, Any]]:
    """{package: its metadata} of `asked` and what these depend on, in versions that `pins` allow."""
    with tempfile.TemporaryDirectory() as scratch:
        allowed, report = Path(scratch) / "pins.txt", Path(scratch) / "report.json"
        allowed.write_text("".join(f"{line}\n" for line in pins), "utf-8")
        _pip(
            "install", "--dry-run", "--ignore-installed", "--target", scratch, "--report", str(report), *target,
            "--constraint", str(allowed), *asked,
        )  # fmt: skip
        found = [item["metadata"] for item in json.loads(report.read_text("utf-8"))["install"]]
    return {canonicalize_name(item["name"]): item for item in found}


def _needed(
    resolved: Mapping[str, Mapping[str, Any]], python: str, extras: Sequence[str]
) -> dict[str, list[str]]:
    """{package: requirements} of what jaxlab needs on Kaggle, in turn.

    Markers are asked of Kaggle's Python: even with --python-version pip asks the one that it runs in.
    """
    versions = {"python_version": python, "python_full_version": f"{python}.0"}
    needed: dict[str, list[str]] = {}
    waiting = [("jaxlab", extra) for extra in ("", *extras)]
    seen = set(waiting)
    while waiting:
        package, extra = waiting.pop()
        for line in resolved.get(package, {}).get("requires_dist", ()):
            one = Requirement(line)
            if one.marker is not None and not one.marker.evaluate({**_MARKERS, **versions, "extra": extra}):
                continue
            one.marker = None
            name = str(canonicalize_name(one.name))
            needed.setdefault(name, []).append(str(one))
            new = [(name, chosen) for chosen in ("", *one.extras) if (name, chosen) not in seen]
            waiting += new
            seen.update(new)
    return needed


def read_image(freeze: Path) -> dict[str, str]:
    """{package: version} of the lines `package==version`."""
    try:
        lines = freeze.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{freeze}: expected what `pip freeze` prints ({error})") from None
    pinned = [match for line in lines if (match := _PINNED.match(line))]
    if not pinned:
        raise UserError(f"{freeze}: expected what `pip freeze` prints, found no line such as numpy==2.0.2")
    return {canonicalize_name(match[1]): match[2] for match in pinned}


def _fitting(wheel: Path, image: Mapping[str, str], extras: Sequence[str]) -> dict[str, str]:
    """What of `image` is new enough for jaxlab's own requirements, and those of these extras."""
    with zipfile.ZipFile(wheel) as file:
        (name,) = [name for name in file.namelist() if name.endswith(".dist-info/METADATA")]
        lines = file.read(name).decode().splitlines()
    required = [
        Requirement(line.removeprefix("Requires-Dist: "))
        for line in lines
        if line.startswith("Requires-Dist")
    ]
    needed = {
        str(canonicalize_name(one.name)): one.specifier
        for one in required
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras)
    }
    return {
        name: version
        for name, version in image.items()
        if name not in needed or needed[name].contains(version, prereleases=True)
    }


def _pip(*arguments: str) -> None:
    """Raises UserError with pip's own reasons."""
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        reasons = [line.removeprefix("ERROR: ") for line in said if line.startswith("ERROR")] or said[-1:]
        if unreached := _UNREACHED.search(done.stderr):
            why = re.sub("<[^>]*>: ", "", unreached[1])
            reasons.insert(0, f"no network, where a bundle needs one to be made: {why}")
        raise UserError(f"pip {arguments[0]} failed: {'; '.join(reasons)}")

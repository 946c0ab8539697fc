"""A folder in a store, by fsspec: names below it, and every refusal as a sentence."""

import contextlib
import errno
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from jaxlab.core.files import reason, writing
from jaxlab.core.passwords import has_password
from jaxlab.core.types import UserError

_URL = re.compile(r"([a-z][a-z0-9+.-]+):/{1,2}(?!/)(.+)")  # pathlib makes one slash of two
_CREDENTIALS = "credentials|token|login|authenticat|signature|accesskey|anonymous"
_OF_DISKS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
_SIGNS = (
    "ETag",
    "etag",
    "md5Hash",
    "checksum",
    "LastModified",
    "last_modified",
    "mtime",
    "updated",
    "created",
)


def url_of(path: "str | Path | None") -> str | None:
    """What was given, as a URL; None where it is a path. A letter alone is a drive."""
    found = _URL.fullmatch(str(path)) if path is not None else None
    return f"{found[1]}://{found[2].rstrip('/')}" if found else None


def checked(url: str) -> str:
    """The URL of a run, or of a folder of runs. Raises UserError for one with a password, and for a path that this
    machine would take for another one: with parts that are empty, `.` or `..`.
    """
    scheme, _, rest = url.partition("://")
    if has_password(url):
        raise UserError(
            f"{scheme}://...: expected a URL without a password, which paths and logs would show, found one"
        )
    if odd := {"", ".", ".."} & set(rest.split("/")):
        raise UserError(f"{url}: expected names between the slashes, found {odd.pop()!r}")
    return url


@dataclass(frozen=True)
class Store:
    """What lies below a URL. Every method raises UserError where the store cannot be had."""

    url: str

    @cached_property
    def _at(self) -> tuple[Any, str]:
        """fsspec's file system, and the folder in it."""
        import fsspec

        scheme = self.url.partition("://")[0]
        if scheme not in fsspec.available_protocols():
            raise UserError(
                f"{self.url}: expected a store such as s3://bucket/run or gs://bucket/run, found {scheme}"
            )
        try:
            return fsspec.core.url_to_fs(self.url, use_listings_cache=False, skip_instance_cache=True)
        except ImportError as error:
            raise UserError(
                f'{self.url}: {error}; pip install "jaxlab[store]" brings what s3:// and gs:// need'
            ) from None
        except Exception as error:  # of any store's library
            raise self._refused(error) from error

    def _path(self, name: str) -> str:
        return f"{self._at[1]}/{name}"

    def signs(self) -> dict[str, str]:
        """{name: what changes with the content} of all files."""
        with self._asking():
            found = self._at[0].find(self._at[1], detail=True)
        start = len(self._at[1].rstrip("/")) + 1
        names = {
            path[start:]: _sign(about)
            for path, about in found.items()
            if about.get("type") == "file" and not path.endswith("/")  # consoles make objects so, for folders
        }
        if odd := [name for name in names if {"", ".", ".."} & set(name.split("/")) or "\\" in name]:
            raise UserError(f"{self.url}: expected names of files below it, found {odd[0]!r:.80}")
        return names

    def read(self, name: str) -> bytes | None:
        """A small file; None where there is none."""
        with self._asking():
            try:
                return bytes(self._at[0].cat_file(self._path(name)))
            except FileNotFoundError:
                return None

    def write(self, name: str, data: bytes) -> None:
        with self._asking():
            self._at[0].pipe_file(self._path(name), data)

    def create(self, name: str, data: bytes) -> bool:
        """Write a file that is not there yet; False where it is. At one moment, where the store can."""
        with self._asking():
            try:
                self._at[0].pipe_file(self._path(name), data, mode="create")
            except FileExistsError:
                return False
        return True

    def send(self, file: Path, name: str) -> None:
        """Nothing, where the file has gone meanwhile."""
        with self._asking(file):
            try:
                self._at[0].put_file(str(file), self._path(name))
            except FileNotFoundError:
                if file.exists():
                    raise

    def fetch(self, name: str, file: Path) -> bool:
        """Whole or not at all; False where there is none."""
        partial = file.with_name(f"{file.name}.partial")
        with writing(file):
            file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._asking(partial):
                try:
                    self._at[0].get_file(self._path(name), str(partial))
                except FileNotFoundError:
                    return False
            with writing(file):
                partial.replace(file)
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
        return True

    def remove(self, name: str) -> None:
        with self._asking(), contextlib.suppress(FileNotFoundError):
            self._at[0].rm_file(self._path(name))

    @contextlib.contextmanager
    def _asking(self, file: Path | None = None) -> Iterator[None]:
        """file: on this machine, which is read or written meanwhile: what that refuses is not the store's."""
        try:
            yield
        except UserError:
            raise
        except OSError as error:
            if file is not None and (error.errno in _OF_DISKS or error.filename == str(file)):
                raise UserError(f"{file}, a copy of {self.url}: {reason(error)}") from error
            raise self._refused(error) from error
        except Exception as error:  # of any store's library, which all have their own
            raise self._refused(error) from error

    def _refused(self, error: Exception) -> UserError:
        said = (
            reason(error)
            if isinstance(error, OSError)
            else str(error).partition("\n")[0] or type(error).__name__
        )
        if isinstance(error, FileNotFoundError):
            return UserError(f"{self.url}: expected a bucket that exists, found none ({said})")
        if isinstance(error, PermissionError) or re.search(
            _CREDENTIALS, f"{type(error).__name__} {error}", re.I
        ):
            return UserError(
                f"{self.url}: the store refuses ({said}): expected credentials that may read and write there, as "
                "`aws configure` or AWS_ACCESS_KEY_ID give for s3://, `gcloud auth application-default login` for gs://"
            )
        return UserError(f"{self.url}: the store cannot be had ({type(error).__name__}: {said})")


def _sign(about: dict[str, Any]) -> str:
    found = next((str(about[name]) for name in _SIGNS if about.get(name) is not None), "")
    return f"{about.get('size')} {found}"

"""The files of a product as delivered: a folder, or a zip or tar archive."""

from __future__ import annotations

import tarfile
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from finewave.errors import InputError
from finewave.io.file_errors import reading

_LARGEST_METADATA = 64 * 2**20
_GDAL = {".zip": "vsizip", ".tar": "vsitar"}


@dataclass(frozen=True)
class ProductFiles:
    """A product's files by their names inside it, with ``/`` between folders.

    Parameters
    ----------
    path : pathlib.Path
        The folder, or a ``.zip`` or ``.tar`` file.
    """

    path: Path

    @cached_property
    def names(self) -> list[str]:
        """All files, sorted."""
        if self.path.is_dir():
            paths = (each.relative_to(self.path).as_posix() for each in self.path.rglob("*") if each.is_file())
            return sorted(paths)
        with reading(self.path, "archive"):
            if self.path.suffix.lower() == ".zip":
                with zipfile.ZipFile(self.path) as archive:
                    return sorted(each for each in archive.namelist() if not each.endswith("/"))
            with tarfile.open(self.path) as archive:
                return sorted(each.name.removeprefix("./") for each in archive if each.isfile())

    def read(self, name: str) -> bytes:
        """Return the content of a small file.

        Raises
        ------
        InputError
            It cannot be read, or is larger than metadata are.
        """
        with reading(self.file(name), "metadata"):
            if self.path.is_dir():
                size = (self.path / name).stat().st_size
                _check(size, self.file(name))
                return (self.path / name).read_bytes()
            if self.path.suffix.lower() == ".zip":
                with zipfile.ZipFile(self.path) as archive:
                    _check(archive.getinfo(name).file_size, self.file(name))
                    return archive.read(name)
            with tarfile.open(self.path) as archive:
                member = next(each for each in archive if each.name.removeprefix("./") == name)
                _check(member.size, self.file(name))
                opened = archive.extractfile(member)
                return b"" if opened is None else opened.read()

    def file(self, name: str) -> Path:
        """Return the path by which GDAL opens a file of the product."""
        kind = _GDAL.get(self.path.suffix.lower())
        if self.path.is_dir() or kind is None:
            return self.path / name
        return Path(f"/{kind}/{{{self.path.resolve()}}}/{name}")


def is_archive(path: Path, suffixes: tuple[str, ...] = (".zip", ".tar")) -> bool:
    """Whether a path is a zip or tar file by its name."""
    return path.suffix.lower() in suffixes and path.is_file()


def _check(size: int, path: Path) -> None:
    if size > _LARGEST_METADATA:
        raise InputError(f"cannot read {path}: {size} bytes are too many for metadata")

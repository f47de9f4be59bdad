"""Download of published files: resumable, atomic, with checksums."""

from __future__ import annotations

import logging
import tarfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from finewave.datasets.base import DownloadableFile
from finewave.errors import InputError
from finewave.extras import importing
from finewave.io.file_errors import first_line, writing

_PIECE = 1 << 16  # maximum loss when a connection breaks
_PATIENCE = 30.0  # seconds without a byte


def download(
    files: Iterable[DownloadableFile],
    folder: Path,
    progress: Callable[[str], None] = lambda line: None,
    count: Callable[[int, int], None] = lambda done, total: None,
) -> list[Path]:
    """Download files; existing files with the right checksum are kept.

    A file gets its final name only when it is complete and its checksum is right. After a broken connection the
    received part is kept as ``.NAME.part``, and the next call resumes from there. Archives are unpacked in the folder.

    Parameters
    ----------
    files : iterable of DownloadableFile
        Files to download.
    folder : Path
        Destination folder; created if missing.
    progress : callable
        Called with a line for each file.
    count : callable
        Called with the received bytes of a file and its size; 0 if the server does not state it.

    Returns
    -------
    list of Path
        The files, archives as they came.

    Raises
    ------
    InputError
        If the package pooch is missing, a server does not answer or has no such file, a checksum differs, or the folder
        cannot be written.
    """
    with importing("data", "a download"):
        import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    fetched = []
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            progress(f"{file.name}: {file.url}")
            part = folder / f".{file.name}.part"
            try:
                pooch.retrieve(
                    file.url,
                    known_hash=f"sha256:{file.sha256}",
                    fname=file.name,
                    path=folder,
                    downloader=_Resuming(part, count),
                    processor=_unpacking(file.name),
                )
            except ValueError as error:  # pooch: another checksum
                if isinstance(error, InputError):
                    raise
                raise InputError(
                    f"{file.url} is not the file that is known: its SHA-256 is not {file.sha256}; it was not kept"
                ) from error
            fetched.append(folder / file.name)
    return fetched


def _unpacking(name: str) -> Any:
    """Return pooch's processor for an archive, None for other files."""
    import pooch

    if name.endswith(".zip"):
        return pooch.Unzip(extract_dir=".")
    if name.endswith((".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")):
        return partial(_untar, pooch.Untar(extract_dir="."))
    return None


def _untar(unpack: Any, archive: str, action: str, requested: Any) -> Any:
    """Unpack a tar file; raise an error if a member would be written outside its folder, as old Pythons allow."""
    with tarfile.open(archive) as members:
        for each in members:
            if each.name.startswith(("/", "\\")):
                raise InputError(f"{Path(archive).name} is not unpacked: {each.name} would lie outside of its folder")
            try:
                tarfile.data_filter(each, str(Path(archive).parent))
            except tarfile.FilterError as error:
                raise InputError(f"{Path(archive).name} is not unpacked: {error}") from error
    return unpack(archive, action, requested)


class _Resuming:
    """A downloader for pooch that resumes an earlier attempt."""

    def __init__(self, part: Path, count: Callable[[int, int], None]) -> None:
        self.part, self.count = part, count

    def __call__(self, url: str, output_file: str | Path, pooch: Any) -> None:
        """Fetch ``url`` and move it to ``output_file``, where pooch checks it."""
        import requests

        have = self.part.stat().st_size if self.part.exists() else 0
        ask = {"Range": f"bytes={have}-"} if have else {}
        try:
            with requests.get(url, headers=ask, stream=True, timeout=_PATIENCE) as answer:
                if (
                    answer.status_code != requests.codes.requested_range_not_satisfiable
                ):  # otherwise the file is complete
                    answer.raise_for_status()
                    resumed = answer.status_code == requests.codes.partial_content
                    have = have if resumed else 0
                    length = None if "Content-Encoding" in answer.headers else answer.headers.get("Content-Length")
                    total = have + int(length) if length else 0
                    with self.part.open("ab" if resumed else "wb") as file:
                        for piece in answer.iter_content(_PIECE):
                            have += file.write(piece)
                            self.count(have, total)
        except requests.RequestException as error:
            kept = self.part.stat().st_size if self.part.exists() else 0
            again = f"; the {kept / 1e6:.1f} MB that came are kept, run the command again to go on" if kept else ""
            raise InputError(f"cannot fetch {url}: {first_line(error)}{again}") from error
        self.part.replace(output_file)

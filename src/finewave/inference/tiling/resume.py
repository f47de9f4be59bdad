"""Finished tiles of an unfinished output, stored beside it so that the same command resumes."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.inference.options import unfinished_folder
from finewave.inference.tiling.tile_numbers import ZARR, read_numbers, write_numbers
from finewave.inference.tiling.tile_run import TileResult
from finewave.inference.tiling.tiles import Tile, enlarged
from finewave.io.atomic import flush_to_disk, remove_folder
from finewave.io.file_errors import writing
from finewave.io.sole_writer import sole_writer

if TYPE_CHECKING:
    from finewave.io.formats.storage import Storage

_JOB, _DONE = "job.json", "done"


def finished_tiles(output: Path) -> int:
    """Return how many tiles of an unfinished output there are; 0 before the first one, and when it is finished."""
    return sum(1 for _ in (unfinished_folder(output) / _DONE).glob("*.json"))


def stores_in(folder: Path, output: Path) -> tuple[Path, Path]:
    """Return the stores of the scene and of its spread in a hidden folder, see `tile_numbers`."""
    suffix = ZARR if output.suffix.lower() == ZARR else ".tiles"
    return folder / f"scene{suffix}", folder / f"spread{suffix}"


@contextmanager
def locked(output: Path) -> Iterator[Path]:
    """Hold the hidden folder of an output, made if missing, so that no other run writes the same output.

    Raises
    ------
    InputError
        If another run has it, or the folder cannot be written to.
    """
    folder = unfinished_folder(output)
    with sole_writer(output):
        with writing(output):
            folder.mkdir(exist_ok=True)
        try:
            yield folder
        finally:
            if not (folder / _JOB).exists() or not any((folder / _DONE).glob("*.json")):
                remove_folder(folder)  # nothing to resume


@dataclass(frozen=True)
class ResumeStore:
    """The tiles of an output that are finished: their numbers, and a file of facts for each tile.

    Parameters
    ----------
    scene, spread : pathlib.Path
        Their stores in the hidden folder, as every worker finds it; see `stores_in`.
    storage : Storage
        How values become the numbers in the store.
    scale : int
        Output pixels for each pixel of the tiling.
    precision : str
        Arithmetic of all tiles.
    spread_storage : Storage, optional
        That of the spread, if there is one.
    """

    scene: Path
    spread: Path
    storage: Storage
    scale: int
    precision: str = "float32"
    spread_storage: Storage | None = None

    def any(self) -> bool:
        """Whether a tile is finished."""
        return any((self.scene.parent / _DONE).glob("*.json"))

    def write(self, number: int, tile: Tile, result: TileResult) -> None:
        """Store a tile, and only then that it is finished."""
        storage = replace(self.storage, clipped=0, lost=0)
        stored = storage.encode(result.values)
        window = enlarged(tile.core, self.scale)
        write_numbers(self.scene, number, window, stored)
        record = {
            **asdict(result.facts),
            "checksum": _checksum(stored),
            "clipped": storage.clipped,
            "lost": storage.lost,
        }
        if self.spread_storage is not None and result.spread is not None:
            spread = self.spread_storage.encode(result.spread)
            write_numbers(self.spread, number, window, spread)
            record["spread_checksum"] = _checksum(spread)
        path = self.scene.parent / _DONE / f"{number}.json"
        temporary = path.with_suffix(f".{id(record)}")
        temporary.write_text(json.dumps(record), encoding="utf-8")
        temporary.replace(path)

    def facts(self, number: int) -> dict[str, Any] | None:
        """Return the findings of a finished tile; None for an unfinished one."""
        try:
            return json.loads((self.scene.parent / _DONE / f"{number}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def discard(self, number: int) -> None:
        """Take a tile for one that is not finished."""
        (self.scene.parent / _DONE / f"{number}.json").unlink(missing_ok=True)

    def warn(self, output: Path, records: Sequence[dict[str, Any]]) -> None:
        """Warn about values in all tiles that did not fit the stored type."""
        clipped, lost = (sum(record[key] for record in records) for key in ("clipped", "lost"))
        replace(self.storage, clipped=clipped, lost=lost).warn(output)

    def is_done(self, number: int, tile: Tile) -> bool:
        """Whether a tile is finished and is in the store as it was written."""
        facts = self.facts(number)
        if facts is None:
            return False
        window = enlarged(tile.core, self.scale)
        expected = {self.scene: facts["checksum"]}
        if self.spread_storage is not None:
            expected[self.spread] = facts.get("spread_checksum")
        try:
            return all(
                _checksum(read_numbers(store, number, window)) == checksum for store, checksum in expected.items()
            )
        except Exception:  # errors of truncated chunks depend on the codec
            return False


def open_job(folder: Path, output: Path, job: dict[str, Any], *, restart: bool) -> dict[str, Any] | None:
    """Prepare a hidden folder for a job; return the argument of `commit_job` if there are tiles to resume from.

    Parameters
    ----------
    folder : Path
        From `locked`.
    output : Path
    job : dict
        Everything that the output depends on, by name, in JSON types. Other names stored by an earlier run are not
        compared.
    restart : bool
        Discard the tiles of an earlier run.

    Raises
    ------
    InputError
        If the folder belongs to another job; the message names the differences.
    """
    path = folder / _JOB
    before = stored_job(path)
    if before is not None and not restart:
        if differing := differing_facts(before, job):
            raise another_run(folder, differing)
        stores = stores_in(folder, output)[: 2 if job.get("spread") or job.get("uncertainty") else 1]
        if all(store.is_dir() for store in stores):  # otherwise only one of them already has its final name
            _remove_half_written(folder, stores)
            return before
    # the job file first: without it no tile counts as finished
    for each in (folder / _JOB, *stores_in(folder, output), folder / _DONE):
        remove_folder(each) if each.is_dir() else each.unlink(missing_ok=True)
    return None


def _remove_half_written(folder: Path, stores: Sequence[Path]) -> None:
    """Remove what a killed run was writing: each of its ends leaves files that nothing would take away."""
    whole = {"tiles": ".npy", _DONE: ".json"}
    for each in (folder / _DONE, *stores):
        suffix = whole.get(each.name) or whole.get(each.suffix[1:])
        # of Zarr, names of chunks are free, and those of its temporary files end like this
        left = each.rglob("*.partial") if suffix is None else (file for file in each.iterdir() if file.suffix != suffix)
        for file in list(left):
            file.unlink(missing_ok=True)
    for file in (*folder.glob("trial*"), *folder.glob(f"{_JOB}.*")):
        remove_folder(file) if file.is_dir() else file.unlink(missing_ok=True)


def commit_job(folder: Path, job: dict[str, Any]) -> None:
    """Record the job of a folder whose store has been created."""
    (folder / _DONE).mkdir(exist_ok=True)
    temporary = folder / f"{_JOB}.new"
    temporary.write_text(json.dumps(job, indent=2), encoding="utf-8")
    flush_to_disk(temporary)
    temporary.replace(folder / _JOB)


def discard_job(folder: Path) -> None:
    """Remove the folder of a finished job."""
    (folder / _JOB).unlink(missing_ok=True)


def _checksum(stored: NDArray[Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(stored).data)


def stored_job(path: Path) -> dict[str, Any] | None:
    """Return the job in a file; None if there is none that can be read."""
    try:
        job = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return job if isinstance(job, dict) else None


def differing_facts(before: Mapping[str, Any], job: Mapping[str, Any]) -> list[str]:
    """Return the names of what a job depends on that was different before."""
    return [key for key in job if before.get(key) != job[key]]


def another_run(folder: Path, differing: Sequence[str]) -> InputError:
    """Return the error about finished work of another job."""
    # no command of this version is that one
    how = "Finish it with that version" if "version" in differing else "Repeat that command to finish it"
    return InputError(
        f"{folder} holds unfinished work of another run: {', '.join(differing)} "
        f"{'was' if len(differing) == 1 else 'were'} different. {how}, or begin again with --restart (restart=True)"
    )

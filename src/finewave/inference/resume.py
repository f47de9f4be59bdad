"""Finished tiles of an output that is not, kept beside it so that the same command goes on where it was stopped."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finewave.errors import InputError
from finewave.inference.options import unfinished_folder
from finewave.inference.tiling.tile_run import TileResult
from finewave.inference.tiling.tiles import Tile, enlarged
from finewave.io.atomic import flush_to_disk, remove_folder
from finewave.io.file_errors import writing

if TYPE_CHECKING:
    from finewave.io.formats.storage import Storage

_JOB, _LOCK, _DONE, _SCENE, _SPREAD = "job.json", "lock", "done", "scene.zarr", "uncertainty.zarr"


def finished_tiles(output: Path) -> int:
    """Return how many tiles of an unfinished output there are; 0 before the first one, and when it is finished."""
    return sum(1 for _ in (unfinished_folder(output) / _DONE).glob("*.json"))


def store_in(folder: Path) -> Path:
    """Return the Zarr store in a hidden folder."""
    return folder / _SCENE


def spread_store_in(folder: Path) -> Path:
    """Return the Zarr store of the spread in a hidden folder."""
    return folder / _SPREAD


@contextmanager
def locked(output: Path) -> Iterator[Path]:
    """Hold the hidden folder of an output, made if missing, so that no other run writes the same output.

    The system lets go of the lock when the process ends, however it ends.

    Raises
    ------
    InputError
        If another run has it, or the folder cannot be written to.
    """
    from filelock import FileLock, Timeout

    folder = unfinished_folder(output)
    with writing(output):
        folder.mkdir(exist_ok=True)
        lock = FileLock(folder / _LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise InputError(
                f"another run is writing {output}; wait for it, or choose another output (it holds {folder})"
            ) from None
    try:
        yield folder
    finally:
        if not (folder / _JOB).exists() or not any((folder / _DONE).glob("*.json")):
            remove_folder(folder)  # nothing is there to go on with
        lock.release()


@dataclass(frozen=True)
class ResumeStore:
    """The tiles of an output that are finished: a scene in Zarr, and a file of facts for each tile.

    Parameters
    ----------
    folder : str
        As every worker finds it.
    storage : Storage
        How values become the numbers in the store.
    scale : int
        Output pixels for each pixel of the tiling.
    precision : str
        Arithmetic of all tiles.
    spread_storage : Storage, optional
        That of the spread, if there is one.
    """

    folder: str
    storage: Storage
    scale: int
    precision: str = "float32"
    spread_storage: Storage | None = None

    @property
    def scene(self) -> Path:
        """The Zarr store; a scene by itself."""
        return store_in(Path(self.folder))

    @property
    def spread(self) -> Path:
        """The Zarr store of the spread, likewise."""
        return spread_store_in(Path(self.folder))

    def any(self) -> bool:
        """Whether a tile is finished."""
        return any((Path(self.folder) / _DONE).glob("*.json"))

    def write(self, number: int, tile: Tile, result: TileResult) -> None:
        """Store a tile, and only then that it is finished."""
        storage = replace(self.storage, clipped=0, lost=0)
        stored = storage.encode(result.values)
        rows, columns = enlarged(tile.core, self.scale)
        _array(self.scene, "r+")[:, rows, columns] = stored
        record = {
            **asdict(result.facts),
            "checksum": _checksum(stored),
            "clipped": storage.clipped,
            "lost": storage.lost,
        }
        if self.spread_storage is not None and result.spread is not None:
            spread = self.spread_storage.encode(result.spread)
            _array(self.spread, "r+")[:, rows, columns] = spread
            record["spread_checksum"] = _checksum(spread)
        path = Path(self.folder) / _DONE / f"{number}.json"
        temporary = path.with_suffix(f".{id(record)}")
        temporary.write_text(json.dumps(record), encoding="utf-8")
        temporary.replace(path)

    def facts(self, number: int) -> dict[str, Any] | None:
        """Return what was met in a finished tile; None for one that is not."""
        try:
            return json.loads((Path(self.folder) / _DONE / f"{number}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def discard(self, number: int) -> None:
        """Take a tile for one that is not finished."""
        (Path(self.folder) / _DONE / f"{number}.json").unlink(missing_ok=True)

    def warn(self, output: Path, records: Sequence[dict[str, Any]]) -> None:
        """Say what in all tiles together did not fit the stored type."""
        clipped, lost = (sum(record[key] for record in records) for key in ("clipped", "lost"))
        replace(self.storage, clipped=clipped, lost=lost).warn(output)

    def is_done(self, number: int, tile: Tile) -> bool:
        """Whether a tile is finished and is in the store as it was written."""
        facts = self.facts(number)
        if facts is None:
            return False
        rows, columns = enlarged(tile.core, self.scale)
        expected = {self.scene: facts["checksum"]}
        if self.spread_storage is not None:
            expected[self.spread] = facts.get("spread_checksum")
        try:
            return all(
                _checksum(_array(store, "r")[:, rows, columns]) == checksum for store, checksum in expected.items()
            )
        except Exception:  # a chunk that was cut off fails in as many ways as there are codecs
            return False


def open_job(folder: Path, job: dict[str, Any], *, restart: bool) -> dict[str, Any] | None:
    """Make a hidden folder ready for a job; return what `commit_job` was given if there are tiles to go on from.

    Parameters
    ----------
    folder : Path
        From `locked`.
    job : dict
        Everything that the output depends on, by name, as JSON knows it. What an earlier run has said beyond these
        names is not compared.
    restart : bool
        Throw away what an earlier run has left.

    Raises
    ------
    InputError
        If what is there belongs to another job: says in what they differ.
    """
    path = folder / _JOB
    before = _read(path)
    if before is not None and not restart:
        differing = [key for key in job if before.get(key) != job[key]]
        if differing:
            raise InputError(
                f"{folder} holds unfinished work of another run: {', '.join(differing)} "
                f"{'was' if len(differing) == 1 else 'were'} different. Repeat that command to finish it, or begin "
                "anew with --restart (restart=True)"
            )
        stores = (_SCENE, _SPREAD) if job.get("uncertainty") else (_SCENE,)
        if all((folder / store).is_dir() for store in stores):  # else one has got its final name, and the other not
            return before
    for name in (_JOB, _SCENE, _SPREAD, _DONE):  # the job first: without it nothing is taken for finished
        each = folder / name
        remove_folder(each) if each.is_dir() else each.unlink(missing_ok=True)
    return None


def commit_job(folder: Path, job: dict[str, Any]) -> None:
    """Say that the folder, whose store is laid out, belongs to a job."""
    (folder / _DONE).mkdir(exist_ok=True)
    temporary = folder / f"{_JOB}.new"
    temporary.write_text(json.dumps(job, indent=2), encoding="utf-8")
    flush_to_disk(temporary)
    temporary.replace(folder / _JOB)


def discard_job(folder: Path) -> None:
    """Throw away what is left of a job whose output has its name."""
    (folder / _JOB).unlink(missing_ok=True)


def _array(store: Path, mode: Any) -> Any:
    import zarr

    return zarr.open_array(store, path="scene", mode=mode)


def _checksum(stored: NDArray[Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(stored).data)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        job = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return job if isinstance(job, dict) else None

"""The reader process: reads one request per line, answers with a line of JSON and raw bytes.

It protects the calling process: a crash ends only this process, a hanging library is ended by the system after some
seconds of CPU time, and memory is limited. It imports little of finewave, so that it starts fast.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

DEEP_BYTES = 2**25
"""Values of a file that are read, if all of them are fewer; of larger files everything but the values is."""
_MOST_OBJECTS = 100_000
_PIECE = 2**24
MEMORY_BYTES = 2**30
"""Memory limit besides ten times the size of the file."""
SECONDS = 1.0
"""Computing time for a small file; larger ones get a second more for every `BYTES_A_SECOND`."""
BYTES_A_SECOND = 2e7


class ElsewhereError(Exception):
    """A file leads to other files."""


def probe_hdf5(path: str) -> tuple[dict[str, Any], bytes]:
    """Visit all objects of an HDF5 file; errors are left to the reader, crashes are detected here.

    Raises
    ------
    ElsewhereError
        A link, a virtual dataset or external storage leads to another file.
    """
    import h5py

    left = DEEP_BYTES
    with h5py.File(path, "r") as file:
        _touch_attributes(file)
        seen: set[Any] = set()
        waiting: list[Any] = [file]
        while waiting:
            group = waiting.pop()
            for name, each in _members(group):
                info = h5py.h5o.get_info(each.id)
                if (info.fileno, info.addr) in seen:
                    continue
                seen.add((info.fileno, info.addr))
                if len(seen) > _MOST_OBJECTS:
                    return {}, b""
                _touch_attributes(each)
                if isinstance(each, h5py.Group):
                    waiting.append(each)
                elif isinstance(each, h5py.Dataset):
                    left -= _look_at(each, name, left)
    return {}, b""


def _members(group: Any) -> Iterator[tuple[str, Any]]:
    import h5py

    for name in _or_nothing(lambda: list(group), []):
        link = _or_nothing(lambda name=name: group.get(name, getlink=True), None)
        if isinstance(link, h5py.ExternalLink):
            raise ElsewhereError(f"{name} is a link to another file, {link.filename}")
        if isinstance(link, h5py.HardLink):
            each = _or_nothing(lambda name=name: group[name], None)
            if each is not None:
                yield name, each


def _look_at(dataset: Any, name: str, left: int) -> int:
    """Look at an array and read it if it has at most ``left`` bytes; return how many were read."""
    stored = dataset.id.get_create_plist()
    if stored.get_external_count():
        other = stored.get_external(0)[0].decode("utf-8", "replace")
        raise ElsewhereError(f"the values of {name} lie in another file, {other}")
    if dataset.is_virtual:
        other = [source.file_name for source in dataset.virtual_sources() if source.file_name != "."]
        if other:
            raise ElsewhereError(f"the values of {name} lie in another file, {other[0]}")
    _or_nothing(lambda: dataset.chunks and dataset.id.get_num_chunks(), None)
    if dataset.dtype.kind not in "fiub" or dataset.nbytes > left:
        return 0
    _or_nothing(lambda: _read(dataset), None)
    return int(dataset.nbytes)


def _read(dataset: Any) -> None:
    if not dataset.shape:
        dataset[()]
        return
    rows = max(1, _PIECE * dataset.shape[0] // max(1, dataset.nbytes))
    for start in range(0, dataset.shape[0], rows):
        dataset[start : start + rows]


def _touch_attributes(each: Any) -> None:
    for name in _or_nothing(lambda: list(each.attrs), []):
        _or_nothing(lambda name=name: each.attrs[name], None)


def _or_nothing(ask: Any, nothing: Any) -> Any:
    try:
        return ask()
    except MemoryError:
        raise
    except Exception:  # the reader will raise the same error
        return nothing


def list_mat5(path: str) -> tuple[dict[str, Any], bytes]:
    """List the variables of a MATLAB 5 file: name, shape, class."""
    import scipy.io

    listed = [(str(name), [int(n) for n in shape], str(kind)) for name, shape, kind in scipy.io.whosmat(path)]
    return {"variables": listed}, b""


def load_mat5(path: str, name: str) -> tuple[dict[str, Any], bytes]:
    """Load a variable of a MATLAB 5 file, of a struct all fields: numbers as bytes, texts unchanged."""
    import numpy as np
    import scipy.io

    arrays, content = [], []
    for field, values in _fields(name, np.asarray(scipy.io.loadmat(path, variable_names=[name])[name])):
        if values.dtype.kind in "US":
            arrays.append({"name": field, "shape": values.shape, "texts": [str(each) for each in values.ravel()]})
        elif values.dtype.kind in "fiubc":
            arrays.append({"name": field, "shape": values.shape, "dtype": values.dtype.str})
            content.append(np.ascontiguousarray(values).tobytes())
        else:
            arrays.append({"name": field, "shape": values.shape})
    return {"arrays": arrays}, b"".join(content)


def _fields(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the arrays in a struct, and in structs in it, by their paths."""
    import numpy as np

    if value.dtype.names is None:
        yield name, value
    elif value.size == 1:
        for field in value.dtype.names:
            yield from _fields(f"{name}/{field}", np.asarray(value.reshape(-1)[0][field]))


_Task = Callable[..., tuple[dict[str, Any], bytes]]
TASKS: dict[str, _Task] = {"probe_hdf5": probe_hdf5, "list_mat5": list_mat5, "load_mat5": load_mat5}


def limit(size: int) -> None:
    """Set the limits of the next request, for a file of ``size`` bytes."""
    try:
        import resource
    except ImportError:  # not of Unix
        return
    spent = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    _, hardest = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(spent + SECONDS + size / BYTES_A_SECOND) + 1, hardest))
    pages = Path("/proc/self/statm")
    if pages.exists():
        now = int(pages.read_text().split()[0]) * resource.getpagesize()
        _, hardest = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY_BYTES + 10 * size, hardest))


def main() -> None:
    """Answer requests until there are no more."""
    # loaded before the first limit, so that loading does not count against it
    import h5py  # noqa: F401
    import numpy as np  # noqa: F401
    import scipy.io  # noqa: F401

    answers, sys.stdout = sys.stdout.buffer, sys.stderr
    answers.write(b"{}\n")
    answers.flush()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        task = TASKS[request["task"]]
        content = b""
        try:
            limit(Path(request["arguments"][0]).stat().st_size)
            answer, content = task(*request["arguments"])
        except ElsewhereError as error:
            answer = {"elsewhere": str(error)}
        except MemoryError:
            answer = {"error": "it asks for more memory than a file of its size should"}
        except Exception as error:
            answer = {"error": " ".join(f"{error}".split())[:300] or type(error).__name__}
        answers.write(json.dumps({**answer, "bytes": len(content)}).encode() + b"\n")
        answers.write(content)
        answers.flush()


if __name__ == "__main__":
    main()

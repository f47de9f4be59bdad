"""Nothing stays behind, even while other threads are still writing."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from finewave.errors import InputError
from finewave.io import atomic
from finewave.io.atomic import atomic_output, remove_folder, workshop_for


def test_files_added_during_the_removal_are_removed_too(tmp_path: Path) -> None:
    folder = tmp_path / "workshop"
    started = threading.Event()

    def write() -> None:
        for number in range(200):
            with suppress(FileExistsError):  # with exist_ok, an error where the folder goes while that is looked up
                folder.mkdir()
            try:
                (folder / str(number)).write_bytes(b"late")
            except FileNotFoundError:
                return
            started.set()

    thread = threading.Thread(target=write)
    thread.start()
    started.wait()
    remove_folder(folder)
    thread.join()
    assert list(tmp_path.iterdir()) in ([], [folder])  # the thread may have gone on afterwards
    remove_folder(folder)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_store_waits_for_its_other_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import zarr
    from zarr.storage import LocalStore

    original, written = LocalStore.set, []

    async def unequal(store: LocalStore, key: str, value: object) -> None:
        if key.endswith("0/0"):
            raise OSError(28, "No space left on device")
        if "/" in key:  # a chunk: slower than the report of the failure
            await asyncio.sleep(0.2)
        await original(store, key, value)
        written.append(key)

    monkeypatch.setattr(LocalStore, "set", unequal)
    with pytest.raises(InputError, match="disk is full"), atomic_output(tmp_path / "scene.zarr") as temporary:
        zarr.create_array(temporary, shape=(4, 4), chunks=(2, 2), dtype="f4")[...] = np.ones((4, 4), np.float32)
    assert any(key.endswith("1/1") for key in written)
    time.sleep(0.3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="what a handle stands for is asked of Linux")
def test_what_gets_its_final_name_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that loses power after the rename has the whole file, else it has the old one."""
    events: list[tuple[str, str]] = []
    flush, replace = os.fsync, Path.replace

    def fsync(handle: int) -> None:
        events.append(("flushed", Path(f"/proc/self/fd/{handle}").readlink().name))
        flush(handle)

    def renamed(self: Path, target: Path) -> Path:
        events.append(("renamed", self.name))
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", renamed)
    with atomic_output(tmp_path / "a.hdr") as temporary:
        temporary.write_text("header")
        temporary.with_suffix(".img").write_bytes(b"values")
    assert events.index(("flushed", "a.hdr")) < events.index(("renamed", "a.hdr"))
    assert events.index(("flushed", "a.img")) < events.index(("renamed", "a.img"))
    assert events[-1] == ("flushed", tmp_path.name)
    events.clear()
    with atomic_output(tmp_path / "a.zarr") as temporary:
        (temporary / "c").mkdir(parents=True)
        (temporary / "c" / "0").write_text("chunk")
    assert {name for kind, name in events if kind == "flushed"} >= {"a.zarr", "c", "0", tmp_path.name}
    assert events.index(("flushed", "0")) < events.index(("renamed", "a.zarr"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked there")
def test_a_forked_child_closes_no_file_of_its_own_in_place_of_the_folder(tmp_path: Path) -> None:
    handle = atomic._hold(tmp_path)
    assert handle is not None
    atomic._let_go_in_fork()
    own = os.open(tmp_path, os.O_RDONLY)
    os.dup2(own, handle)  # the system gives the number again
    atomic._let_go(handle)
    for each in {own, handle}:
        os.close(each)  # an error, if it has been closed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked there")
def test_a_forked_child_does_not_hold_the_folder_of_its_killed_parent(tmp_path: Path) -> None:
    """As the workers of a data loader would: the next run removes what the killed one left."""
    script = (
        "import os, signal, sys, time; from pathlib import Path; from finewave.io.atomic import workshop_for\n"
        "with workshop_for(Path(sys.argv[1])):\n"
        "    if os.fork() == 0:\n"
        "        print('forked', flush=True); sys.stdin.read(); os._exit(0)\n"  # until the test is over
        "    time.sleep(60)\n"
    )
    final = tmp_path / "out.tif"
    command = [sys.executable, "-c", script, str(final)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "forked\n"  # so it has let go of what it inherited
        parent.kill()
        assert parent.wait() == -signal.SIGKILL
        assert [each.name[:14] for each in tmp_path.iterdir()] == [".out.tif.finew"]
        with workshop_for(final) as workshop:
            assert list(tmp_path.iterdir()) == [workshop]
    assert list(tmp_path.iterdir()) == []

"""Processes and clusters do what threads do; workers may be lost."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from distributed import Client, LocalCluster
from distributed.security import Security

from finewave.errors import InputError
from finewave.inference.machine.engine import TileJob, run_job
from finewave.inference.machine.process_pool import THREAD_VARIABLES, connected
from finewave.inference.options import PredictOptions
from finewave.inference.predict import predict_file
from finewave.inference.predict_file import run_file
from finewave.io.open_save import load_scene
from finewave.zoo.model import load_model
from tests.inference.tiny_models import save_model, write_scene


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_model(tmp_path / "tiny")


@pytest.mark.parametrize("given", [None, "1"])
def test_threads_of_workers_are_the_users_or_a_share(monkeypatch: pytest.MonkeyPatch, given: str | None) -> None:
    """PyTorch takes MKL's number for OpenMP's: setting both where a user gave one would overrule it."""
    for name in THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    if given is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    before = dict(os.environ)
    with connected(None, 1) as client:
        assert client is not None
        (threads,) = client.run(torch.get_num_threads).values()
    assert threads == (len(os.sched_getaffinity(0)) if given is None else int(given))
    assert {name: os.environ.get(name) for name in THREAD_VARIABLES} == {
        name: before.get(name) for name in THREAD_VARIABLES
    }


@pytest.mark.slow
def test_two_workers_one_of_which_is_lost(model: Path, tmp_path: Path) -> None:
    source = write_scene(tmp_path / "scene.tif", 50, 75)
    predict_file(source, tmp_path / "threads.zarr", model, tile=20, precision="float32", spread=True)
    killed = []
    with connected(None, 2) as client:
        assert client is not None
        pids = client.run(os.getpid)
        assert len(set(pids.values()) - {os.getpid()}) == 2

        def progress(done: int, total: int) -> None:
            if done >= 3 and not killed:
                killed.append(next(iter(pids.values())))
                os.kill(killed[0], signal.SIGKILL)

        loaded = load_model(model, precision="float32").with_pooling("local")
        options = PredictOptions(tile=20, spread=True)
        run_file(source, tmp_path / "workers.tif", loaded, options=options, client=client, progress=progress)
    with LocalCluster(n_workers=1, dashboard_address=None, silence_logs="CRITICAL") as own:
        again = {"precision": "float32", "self_ensemble": True, "cluster": own.scheduler_address}
        predict_file(source, tmp_path / "again.nc", model, tile=20, **again)
    assert killed
    results = {"threads.zarr": ("workers.tif", "again.nc"), "threads.spread.zarr": ("workers.spread.tif",)}
    for one, others in results.items():
        expected = load_scene(tmp_path / one).values
        for name in others:
            np.testing.assert_allclose(load_scene(tmp_path / name).values, expected, rtol=0, atol=1e-5)
    assert not list(tmp_path.glob(".*"))


def listening() -> set[int]:
    """Return the ports on which this process and its children listen, from the tables of Linux."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {row[9]: int(row[1].split(":")[1], 16) for row in rows if row[3] == "0A"}
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            parent = (process / "stat").read_text().rsplit(")", 1)[1].split()[1]
            if os.getpid() not in (int(process.name), int(parent)):
                continue
            for link in list((process / "fd").iterdir()):
                with suppress(OSError):
                    found.add(inodes.get(str(link.readlink())[8:-1], 0))
    return found - {0}


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the ports of a process are read as Linux tells them")
def test_nobody_else_can_use_the_workers() -> None:
    before = listening()
    with connected(None, 1) as client:
        assert client is not None
        scheduler = client.scheduler.address
        assert scheduler.startswith("tls://127.0.0.1:")
        ports = listening() - before
        assert len(ports) >= 2
        for port in ports:
            with pytest.raises((OSError, ValueError)), Client(f"tcp://127.0.0.1:{port}", timeout=1) as stranger:
                stranger.submit(os.getpid).result(timeout=1)
            # no pages either: a listener of this run speaks TLS, and nothing else
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                with suppress(ConnectionResetError):
                    assert b"HTTP" not in connection.recv(1000)
        # keys of another run are none
        with pytest.raises((OSError, ValueError)), Client(scheduler, security=Security.temporary(), timeout=1):
            pass
        assert client.submit(sum, [1, 2]).result() == 3


def test_scheduler_that_does_not_answer(
    model: Path, tmp_path: Path, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_scene(tmp_path / "scene.tif", 5, 7)
    monkeypatch.setattr("finewave.inference.machine.process_pool.CONNECTION_SECONDS", 0.2)
    with pytest.raises(InputError, match=f"no Dask scheduler answers at tcp://{nobody}"):
        predict_file(source, tmp_path / "out.tif", model, cluster=f"tcp://{nobody}")
    with pytest.raises(InputError, match="--cluster or --workers"):
        predict_file(source, tmp_path / "out.tif", model, cluster=f"tcp://{nobody}", workers=2)


def test_what_a_tile_raises_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(TileJob):
        def do(self, number: int) -> None:
            raise InputError("the file ends in the middle")

    job = Broken(None, {}, range(3), None)  # type: ignore[arg-type]  # nothing of it is looked at
    with pytest.raises(InputError, match="ends in the middle"):
        run_job(job, [0, 1, 2], None)


def test_neighbours_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what a file's compressed blocks cost is paid once."""
    done = []

    class Listed(TileJob):
        def do(self, number: int) -> None:
            done.append(number)

    monkeypatch.setattr("finewave.inference.machine.engine.THREADS", 1)
    run_job(Listed(None, {}, range(30), None), [*range(3, 14), *range(20, 30)], None)  # type: ignore[arg-type]
    assert done == [*range(3, 14), *range(20, 30)]


def test_unknown_device(model: Path, tmp_path: Path) -> None:
    source = write_scene(tmp_path / "scene.tif", 5, 7)
    with pytest.raises(InputError, match="cannot be moved to 'abacus'"):
        predict_file(source, tmp_path / "out.tif", model, device="abacus")

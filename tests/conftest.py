"""What all tests share: seeds, threads, outside folders, a tiny trained model."""

from __future__ import annotations

import gc
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from tests.fork_server import ForkServer

os.environ.setdefault("OMP_NUM_THREADS", "2")
IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false")
NEEDS_OUTSIDE = ("parity", "data", "cases", "browser")

# the same examples at each run, and no limit of time for one: the machine may be busy
hypothesis.settings.register_profile("reproducible", derandomize=True, deadline=None)
hypothesis.settings.load_profile("reproducible")

# what runs in the background has interruptions ignored, and so would the programs that tests start and interrupt
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests marked slow, unless the marker expression or a test's full name asks for them."""
    if "slow" in config.option.markexpr or any("::" in str(arg) for arg in config.args):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Leave what the test modules import out of all garbage collections: a million objects that stay.

    To look through them again and again took a quarter of the time of the collection of tests, and 4 % of theirs. It
    stays enabled, as `finewave.process.collector` says why.
    """
    usual = gc.get_threshold()
    gc.set_threshold(0)
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(*usual)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> pytest.TestReport:
    """In CI a comparison that did not take place is a failure, not a skip."""
    report = yield
    outside = any(item.get_closest_marker(name) for name in NEEDS_OUTSIDE)
    if IN_CI and report.skipped and outside and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which in CI is a failure: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def _reproducible() -> None:
    """Every test starts from the same random state, whichever ran before."""
    _seed()


@pytest.fixture(autouse=True, scope="session")
def _nothing_waits_for_the_disk() -> Iterator[None]:
    """What tests write need not outlive a failure of the machine; to wait for a disk takes milliseconds a file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        patch.setattr(os, "sync", lambda: None, raising=False)
        yield


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef) -> None:
    """So does what several tests share, whichever of them runs first."""
    if fixturedef.scope != "function":
        _seed()


def _seed() -> None:
    import torch

    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - libraries still draw from the global generator


@pytest.fixture
def nobody() -> Iterator[str]:
    """Address and port of this machine where nobody listens, nor can anybody begin to while the test runs."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{reserved.getsockname()[1]}"


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """Runs programs in processes of their own that need not import the large libraries."""
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def parity_cases() -> Path:
    """Folder of the reference cases to compare with; any systems, any cases of them."""
    from finewave.locations import parity_folder

    return _outside(parity_folder(), "FINEWAVE_PARITY")


@pytest.fixture(scope="session")
def shared_cases() -> Path:
    """Folder of the shared reference cases, for tests that need a certain one: ``FINEWAVE_PARITY`` may hold others."""
    folder = Path("../shared/parity")
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


@pytest.fixture(scope="session")
def real_images() -> Path:
    """Folder of the real images."""
    from finewave.locations import data_folder

    return _outside(data_folder(), "FINEWAVE_DATA")


@pytest.fixture(scope="session")
def cases() -> Path:
    """Folder of small files laid out as real products, each with a known right answer."""
    return _outside(Path(os.environ.get("FINEWAVE_CASES", "../shared/cases")), "FINEWAVE_CASES")


def _outside(folder: Path, variable: str) -> Path:
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; set {variable}")
    return folder


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a very small JSSUNet with random weights and a full card: 3 bands to 31, scale 2."""
    import torch

    from finewave.systems.registry import create_model
    from finewave.zoo.model import Model

    torch.manual_seed(1)
    net = create_model("jssunet", scale=2, features=8, stages=1, n_clusters=3, patch=3, window=5, heads=1)
    folder = tmp_path_factory.mktemp("weights") / "tiny"
    return Model(net).save(
        folder,
        wavelengths_nm=[400.0 + 10 * i for i in range(31)],
        ms_bands=["R", "G", "B"],
        ms_wavelengths_nm=[600.0, 540.0, 460.0],
        sensor="nikon-d5100",
        degradation={"kernel": "gaussian", "scale": 2},
    )

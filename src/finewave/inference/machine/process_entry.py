"""For worker processes to import when they start.

A terminal's Ctrl-C goes to all of its processes; only the parent process should handle it and shut the workers down.
Workers handle large arrays.
"""

import signal
import threading
from typing import Any

from finewave.process.allocator import keep_freed_memory

if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
keep_freed_memory()


def dask_setup(worker: Any) -> None:
    """Close the port on which a worker would serve pages; Dask calls it when the worker has started."""
    worker.http_server.stop()

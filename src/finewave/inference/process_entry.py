"""For worker processes to import when they start.

A terminal's Ctrl-C goes to all of its processes; it is for the one that started the workers, which ends them in an
orderly way. What the workers compute is large.
"""

import signal
import threading
from typing import Any

from finewave.allocator import keep_freed_memory

if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
keep_freed_memory()


def dask_setup(worker: Any) -> None:
    """Close the port on which a worker would serve pages; Dask calls it when the worker has started."""
    worker.http_server.stop()

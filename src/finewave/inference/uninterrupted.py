"""For worker processes to import when they start: a terminal's Ctrl-C is for the process that started them.

It goes to all processes of the terminal. The one that started the others ends them in an orderly way.
"""

import signal
import threading

if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.SIG_IGN)

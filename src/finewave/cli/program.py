"""Common behaviour of all commands: exit status, errors and warnings on one line each."""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import current_thread, main_thread
from types import FrameType
from typing import Any, NoReturn

import click

from finewave.cli.terminal.streams import quietness
from finewave.errors import InputError
from finewave.extras import OF_FORMATS, OF_NETWORKS, missing_format, missing_torch
from finewave.process import interruption
from finewave.text.plain_text import one_line
from finewave.warnings import FinewaveWarning

DONE, FAILED, BAD_INPUT = 0, 1, 2

# errors of the operating system caused by the user's input, by errno
_USERS_TO_MEND = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EEXIST,
    errno.EFBIG,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}


class Program(click.Group):
    """A group of commands that exits with status 0 (done), 2 (user error) or 1 (anything else).

    Errors are one line on the standard error stream; ``--debug``, anywhere on the line, shows the traceback, and
    ``--quiet`` leaves out progress and notes.
    """

    def main(self, args: Sequence[str] | None = None, *rest: Any, **settings: Any) -> NoReturn:
        """Run the command line ``args`` (default: the process's) and exit."""
        arguments = list(sys.argv[1:] if args is None else args)
        debug, quiet = "--debug" in arguments, "--quiet" in arguments
        settings["standalone_mode"] = False
        if not debug:
            # keep log records of libraries off the error stream
            logging.lastResort = logging.NullHandler()
        with warnings.catch_warnings(), quietness(quiet), _interruptible():
            if not debug:
                warnings.simplefilter("ignore")
            warnings.simplefilter("always", FinewaveWarning)
            warnings.showwarning = _WarningLines()
            sys.exit(self._run([a for a in arguments if a not in ("--debug", "--quiet")], debug, rest, settings))

    def _run(self, args: list[str], debug: bool, rest: tuple[Any, ...], settings: dict[str, Any]) -> int:
        """Run and return the exit status."""
        try:
            status = super().main(args, *rest, **settings)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            return BAD_INPUT
        except click.ClickException as error:
            return _say(_usage(error), BAD_INPUT, debug)
        except click.Abort:
            return _say("interrupted", FAILED, debug)
        except KeyboardInterrupt:
            return _say("interrupted", FAILED, debug)
        except InputError as error:
            return _say(str(error), BAD_INPUT, debug)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package in OF_FORMATS:
                return _say(str(missing_format(package)), BAD_INPUT, debug)
            if package in OF_NETWORKS:
                return _say(str(missing_torch(package)), BAD_INPUT, debug)
            return _say(_unexpected(error), FAILED, debug)
        except BrokenPipeError:  # the reader of our output, e.g. `head`, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        except OSError as error:
            if error.errno in _USERS_TO_MEND:
                where = f"{error.filename}: " if error.filename else ""
                return _say(f"{where}{error.strerror}", BAD_INPUT, debug)
            return _say(_unexpected(error), FAILED, debug)
        except Exception as error:
            return _say(_unexpected(error), FAILED, debug)
        return status if isinstance(status, int) else DONE


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let the first Ctrl-C, or a batch system's SIGTERM, stop cleanly, after the current tile, and the second at once.

    That is safe: outputs get their names only when complete.
    """
    usual: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    ours = [number for number, handler in usual.items() if signal.getsignal(number) is handler]
    if not ours or current_thread() is not main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        for each in ours:
            signal.signal(each, stop_at_once)
        _write_to_terminal("stopping; press Ctrl-C again to stop immediately\n")
        interruption.ask()
        raise KeyboardInterrupt

    def stop_at_once(number: int, frame: FrameType | None) -> None:
        _write_to_terminal("error: interrupted\n")
        os._exit(FAILED)

    def ignored(about: sys.UnraisableHookArgs) -> None:
        if about.exc_type is not KeyboardInterrupt:  # that one is asked for again
            unraisable(about)

    interruption.forget()
    unraisable, sys.unraisablehook = sys.unraisablehook, ignored
    for each in ours:
        signal.signal(each, stop)
    try:
        yield
    finally:
        sys.unraisablehook = unraisable
        interruption.forget()
        for each in ours:
            signal.signal(each, usual[each])


def _write_to_terminal(text: str) -> None:
    """Write from a signal handler, where Python's streams may be busy."""
    with suppress(OSError):
        os.write(2, text.encode())


class _WarningLines:
    """Print each warning once, on one line."""

    def __init__(self) -> None:
        self.shown: set[str] = set()

    def __call__(self, message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        text = one_line(str(message))
        if not issubclass(category, FinewaveWarning):
            text = f"{category.__name__}: {text}"
        if text not in self.shown:
            self.shown.add(text)
            click.echo(f"warning: {text}", err=True)


def _say(message: str, status: int, debug: bool) -> int:
    """Print an error and return the exit status; after an interruption errors come from what it has cut short."""
    if interruption.is_asked():
        message, status = "interrupted", FAILED
    if debug:
        import traceback

        traceback.print_exc()
    click.echo(f"error: {one_line(message)}", err=True)
    return status


def _usage(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    hint = f" (see {context.command_path} --help)" if context is not None else ""
    return error.format_message().rstrip() + hint


def _unexpected(error: BaseException) -> str:
    return f"unexpected {type(error).__name__}: {error}; --debug shows where"

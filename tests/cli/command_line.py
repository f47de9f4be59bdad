"""Running the command line inside the test's process."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from finewave.cli import main


def run(*arguments: str | Path) -> Result:
    """Run ``finewave`` with ``arguments``; standard output and error are kept apart."""
    return CliRunner().invoke(main, [str(a) for a in arguments])


def assert_refused(result: Result, *words: str) -> None:
    """Check for exit status 2 and one line of error that holds all ``words``, with no traceback."""
    assert result.exit_code == 2, result.output
    errors = [line for line in result.stderr.splitlines() if not line.startswith("warning: ")]
    assert len(errors) == 1, result.stderr
    assert errors[0].startswith("error: ")
    assert "Traceback" not in result.output
    for word in words:
        assert word in errors[0], errors[0]


def warnings_of(result: Result) -> list[str]:
    """Return the warnings printed."""
    prefix = "warning: "
    return [line.removeprefix(prefix) for line in result.stderr.splitlines() if line.startswith(prefix)]

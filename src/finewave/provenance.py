"""Which code on which machine made a result, for cards and measurements."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path


def checkout_revision(*, short: bool = False) -> str | None:
    """Return the revision of the checkout, marked ``+changes`` when it has some; None for an installation."""
    try:
        revision = _git("rev-parse", *(["--short"] if short else []), "HEAD")
        changed = _git("status", "--porcelain", "-uno")
    except (OSError, subprocess.CalledProcessError):
        return None
    return revision + ("+changes" if changed else "")


def processor() -> tuple[str, set[str]]:
    """Return the processor's name and, where the system tells, what it can do by the kernel's names."""
    path = Path("/proc/cpuinfo")
    text = path.read_text().split("\n\n")[0] if path.exists() else ""
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}
    return facts.get("model name", platform.processor()), set(facts.get("flags", "").split())


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True).stdout.strip()

"""Sizes of installations: ``python -m benchmarks.install``, a clean environment for finewave-run.

Prints what is downloaded and what is on disk, in MB (10^6 bytes), packages by size; fails above `MOST`. Needs an index
of packages.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from benchmarks.command_line import names_and_flags

ROOT = Path(__file__).parents[1]
MB = 1e6
MOST = 300.0


def size_of(folder: Path) -> float:
    """Return the megabytes of the files in a folder."""
    return sum(each.lstat().st_size for each in folder.rglob("*") if each.is_file()) / MB


def main() -> int:
    """Install into a new environment and print sizes; 1 if it is larger than set out."""
    with tempfile.TemporaryDirectory(prefix="finewave-install-") as name:
        folder = Path(name)
        venv.create(folder / "env", with_pip=True)
        pip: list[str | Path] = [folder / "env/bin/python", "-m", "pip", "-q", "--disable-pip-version-check"]
        limits: list[str | Path] = ["-c", ROOT / "constraints.txt"]
        libraries = next((folder / "env/lib").glob("python3*/site-packages"))
        before, own = size_of(libraries), set(libraries.iterdir())
        subprocess.run([*pip, "download", *limits, "-d", folder / "wheels", ROOT / "packages/run"], check=True)
        subprocess.run([*pip, "install", "--no-compile", *limits, ROOT / "packages/run"], check=True)
        print(f"finewave-run on Python {sys.version_info.major}.{sys.version_info.minor}, {sys.platform}")
        print(f"downloaded: {size_of(folder / 'wheels'):.0f} MB")
        installed = size_of(libraries) - before
        print(f"installed: {installed:.0f} MB (at most {MOST:.0f}), of which")
        parts = {each.name: size_of(each) for each in libraries.iterdir() if each.is_dir() and each not in own}
        for each, size in sorted(parts.items(), key=lambda part: -part[1])[:12]:
            print(f"  {each}: {size:.0f} MB")
    return int(installed > MOST)


if __name__ == "__main__":
    names_and_flags(__doc__)
    sys.exit(main())

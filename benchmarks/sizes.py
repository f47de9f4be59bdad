"""How large the wheel and an installation are, and how long they take: ``make sizes``, ``python -m benchmarks.sizes``.

With ``--extras`` each extra is then added to the base installation, one after the other, and what it adds is printed.
The wheel is built, installed with PyTorch for processors into an empty environment (uv where it is there, else pip; the
versions are those of constraints.txt), and used there. Sizes are in 10^6 bytes of the files themselves, with the
bytecode that pip compiles; pip itself is not counted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import venv
from pathlib import Path

from benchmarks.command_line import names_and_flags

CHECKOUT = Path(__file__).parents[1]
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
MOST_WHEEL, MOST_INSTALLED = 3.0, 1500.0
LARGEST = 8


def main(arguments: list[str]) -> int:
    """Print sizes and times; 1 if a size is above what was set out for it."""
    if arguments not in ([], ["--extras"]):
        print("python -m benchmarks.sizes [--extras]", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="finewave-sizes-") as folder:
        begun = time.perf_counter()
        wheel = build(Path(folder))
        built = time.perf_counter()
        environment = Path(folder) / "environment"
        packages = install(wheel, environment, keep_pip=bool(arguments))
        done = time.perf_counter()
        check(environment)
        files = [path for path in packages.rglob("*") if path.is_file() and not path.is_symlink()]
        bytecode = megabytes([path for path in files if path.suffix == ".pyc"])
        installed = megabytes(files)
        shares: dict[str, list[Path]] = {}
        for path in files:
            shares.setdefault(path.relative_to(packages).parts[0].removesuffix(".libs"), []).append(path)
        largest = sorted(((megabytes(paths), name) for name, paths in shares.items()), reverse=True)[:LARGEST]
        print(f"wheel          {megabytes([wheel]):8.2f} MB   at most {MOST_WHEEL:g}")
        print(f"base install   {installed:8.1f} MB   at most {MOST_INSTALLED:g}; bytecode is {bytecode:.1f} of it")
        first = seconds_of(environment / "bin" / "python", "-c", "import torch, finewave, finewave.cli")
        times = f"built in {built - begun:.0f} s, installed in {done - built:.0f} s, imported in {first:.1f} s"
        print(f"times          {times}")
        print("of it          " + ", ".join(f"{name} {size:.0f}" for size, name in largest))
        if arguments:
            print_extras(wheel, environment, packages)
        return int(megabytes([wheel]) > MOST_WHEEL or installed > MOST_INSTALLED)


def build(folder: Path) -> Path:
    """Build the wheel."""
    if shutil.which("uv"):
        run("uv", "build", "--quiet", "--wheel", "--out-dir", folder, CHECKOUT)
    else:
        run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, CHECKOUT)
    (wheel,) = folder.glob("*.whl")
    return wheel


def print_extras(wheel: Path, environment: Path, packages: Path) -> None:
    """Add each extra but those of developers, and print what it adds to those before it."""
    extras = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    before = folder_size(packages)
    for extra in sorted(set(extras) - {"dev", "docs"}):
        begun = time.perf_counter()
        add(environment / "bin" / "python", f"{wheel}[{extra}]")
        after = folder_size(packages)
        print(f"extra {extra:8} {after - before:8.1f} MB   in {time.perf_counter() - begun:.0f} s", flush=True)
        before = after


def add(python: Path, requirement: str) -> None:
    """Install something in an environment that has finewave."""
    versions: list[str | Path] = ["--constraint", CHECKOUT / "constraints.txt", requirement]
    if shutil.which("uv"):
        run("uv", "pip", "install", "--quiet", "--python", python, *versions)
    else:
        run(python, "-m", "pip", "-qq", "--disable-pip-version-check", "install", *versions)


def folder_size(folder: Path) -> float:
    """Return the size of all files below a folder."""
    return megabytes([path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()])


def seconds_of(*command: str | Path) -> float:
    """Return how long a command takes."""
    begun = time.perf_counter()
    run(*command)
    return time.perf_counter() - begun


def install(wheel: Path, environment: Path, *, keep_pip: bool = False) -> Path:
    """Install it into a new environment, and return the folder of its packages."""
    with_uv = shutil.which("uv") is not None
    venv.create(environment, with_pip=not with_uv)
    python = environment / "bin" / "python"
    versions: list[str | Path] = ["--constraint", CHECKOUT / "constraints.txt"]
    if with_uv:
        run("uv", "pip", "install", "--quiet", "--python", python, "--torch-backend", "cpu", *versions, wheel)
    else:
        pip: list[str | Path] = [python, "-m", "pip", "-qq", "--disable-pip-version-check"]
        run(*pip, "install", "--no-deps", "--retries", "1", "--index-url", CPU_INDEX, *versions, "torch")
        run(*pip, "install", *versions, wheel)
        if not keep_pip:
            run(*pip, "uninstall", "--yes", "setuptools", "pip")
    return Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"))


def check(environment: Path) -> None:
    """Use what was installed: a network makes an image, and the command line knows its models."""
    code = (
        "import torch, finewave as fw; net = fw.create_model('mst++', hs_bands=31); "
        "y = fw.Model(net).predict(hr_msi=torch.full((1, 3, 16, 16), 0.5)); assert y.shape == (1, 31, 16, 16); "
        "fw.get_sensor('srgb')"
    )
    run(environment / "bin" / "python", "-B", "-c", code)
    run(environment / "bin" / "python", "-B", environment / "bin" / "finewave", "models")


def run(*command: str | Path) -> str:
    """Run a command outside of the checkout, and return what it printed."""
    alone = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "FINEWAVE_WEIGHTS")}
    done = subprocess.run([str(part) for part in command], cwd="/", env=alone, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(f"failed: {' '.join(str(part) for part in command)}")
    return done.stdout.strip()


def megabytes(paths: list[Path]) -> float:
    """Return the size of files."""
    return sum(path.stat().st_size for path in paths) / 1e6


if __name__ == "__main__":
    sys.exit(main(names_and_flags(__doc__, "--extras")))

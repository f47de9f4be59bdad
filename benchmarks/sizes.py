"""How large the wheel and a base installation are, by making both: ``make sizes``.

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
import venv
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
MOST_WHEEL, MOST_INSTALLED = 3.0, 1500.0
LARGEST = 8


def main() -> int:
    """Print the sizes; 1 if one is above what was set out for it."""
    with tempfile.TemporaryDirectory(prefix="finewave-sizes-") as folder:
        wheel = build(Path(folder))
        environment = Path(folder) / "environment"
        packages = install(wheel, environment)
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
        print("of it          " + ", ".join(f"{name} {size:.0f}" for size, name in largest))
        return int(megabytes([wheel]) > MOST_WHEEL or installed > MOST_INSTALLED)


def build(folder: Path) -> Path:
    """Build the wheel."""
    if shutil.which("uv"):
        run("uv", "build", "--quiet", "--wheel", "--out-dir", folder, CHECKOUT)
    else:
        run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, CHECKOUT)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, environment: Path) -> Path:
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
    sys.exit(main())

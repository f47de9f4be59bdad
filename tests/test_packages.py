"""What is published: sdist, wheel, conda recipe, container. Built and installed in an empty environment (slow)."""

from __future__ import annotations

import email
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

import finewave

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONDA_NAMES = {"torch": "pytorch", "dask[array]": "dask-core"}
LARGEST_WHEEL = 3_000_000
REQUIRED_ALONE = """
# Only what finewave requires, and what that requires, can be imported: an import of anything else fails.
import importlib.abc
import importlib.metadata as metadata
import re
import sys
from packaging.requirements import Requirement

def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()

required, left = set(), ["finewave"]
while left:
    name = left.pop()
    if plain(name) in required:
        continue
    required.add(plain(name))
    for text in metadata.requires(name) or []:
        requirement = Requirement(text)
        extras = ["", *(["array"] if plain(name) == "dask" else [])]
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            left.append(requirement.name)
refused = {
    module for module, names in metadata.packages_distributions().items()
    if not {plain(name) for name in names} & required
}

class Refuses(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in refused:
            raise ModuleNotFoundError(f"{name} is not required", name=name)

import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name.partition(".")[0] in refused else find(name, package)
sys.meta_path.insert(0, Refuses())
assert {"matplotlib", "bokeh", "lightning", "pytest"} <= refused, "the refusal refuses nothing"
"""
USE = """
import torch
import finewave as fw
assert "FOLDER" in fw.__file__, fw.__file__
net = fw.create_model("mst++", hs_bands=31)
assert fw.Model(net).predict(hr_msi=torch.full((1, 3, 16, 16), 0.5)).shape == (1, 31, 16, 16)
from finewave.scene import make_scene
import numpy as np
random = np.random.default_rng(0)
fw.save_scene(make_scene(random.random((3, 24, 24)), wavelengths=[600.0, 540.0, 460.0]), "scene.tif")
from click.testing import CliRunner
from finewave.cli import main
for line in ("--version", "models", "sensors", "info scene.tif", "data list",
             "predict scene.tif -o out.nc --model bicubic --scale 2"):
    done = CliRunner().invoke(main, line.split())
    assert done.exit_code == 0, (line, done.output)
assert "mstpp-cave" in CliRunner().invoke(main, ["models"]).output   # by its card; the weights are fetched
"""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    alone = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "FINEWAVE_WEIGHTS")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=alone | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sdist, and the wheel that is built from the sdist alone."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return {"sdist": sdist, "wheel": wheel}


def environment_with(wheel: Path, folder: Path) -> Path:
    """Return the Python of a new environment with the wheel, which sees the libraries of this one."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


@pytest.mark.slow
def test_both_are_whole(built: dict[str, Path]) -> None:
    wheel = zipfile.ZipFile(built["wheel"])
    names = wheel.namelist()
    (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
    facts = email.message_from_bytes(wheel.read(metadata))
    assert facts["Version"] == finewave.__version__
    assert set(facts.get_all("Provides-Extra") or []) == set(PROJECT["optional-dependencies"])
    cards = {path.parent.name for path in (ROOT / "weights").glob("*/card.json")}
    assert {name.split("/")[-2] for name in names if name.endswith("card.json")} == cards
    assert {Path(name).name for name in names if "_recipes" in name} == {p.name for p in (ROOT / "recipes").iterdir()}
    assert [name for name in names if name.endswith(".safetensors")] == []
    assert [name for name in names if not name.startswith("finewave")] == []
    assert built["wheel"].stat().st_size < LARGEST_WHEEL
    with tarfile.open(built["sdist"]) as sdist:
        inside = [name.partition("/")[2] for name in sdist.getnames()]
    assert {"LICENSE", "README.md", "pyproject.toml", "src/finewave/__init__.py"} <= set(inside)
    assert [name for name in inside if name.endswith(".safetensors")] == []


@pytest.mark.slow
def test_an_index_accepts_them(built: dict[str, Path], tmp_path: Path) -> None:
    run(sys.executable, "-m", "twine", "check", "--strict", *built.values(), cwd=tmp_path)


@pytest.mark.slow
def test_the_wheel_needs_nothing_but_what_it_requires(built: dict[str, Path], tmp_path: Path) -> None:
    python = environment_with(built["wheel"], tmp_path / "environment")
    (tmp_path / "use.py").write_text(REQUIRED_ALONE + USE.replace("FOLDER", str(tmp_path / "environment")))
    run(python, "-W", "ignore", "use.py", cwd=tmp_path, OMP_NUM_THREADS="1")
    assert finewave.__version__ in run(python, python.parent / "finewave", "--version", cwd=tmp_path)


def recipe() -> Any:
    rattler_build = pytest.importorskip("rattler_build")
    variants = rattler_build.VariantConfig.from_yaml("python_min: ['3.11']\n")
    (rendered,) = rattler_build.Stage0Recipe.from_file(str(ROOT / "conda" / "recipe.yaml")).render(variants)
    return rendered.recipe


def test_the_conda_recipe_requires_what_the_project_requires() -> None:
    rendered = recipe()
    assert finewave.__version__.startswith(str(rendered.package.version))
    expected = {f"python {PROJECT['requires-python']}"}
    for text in PROJECT["dependencies"]:
        name, version = re.fullmatch(r"([\w.-]+(?:\[\w+\])?)(.*)", text).groups()  # type: ignore[union-attr]
        expected.add(f"{CONDA_NAMES.get(name, name)} {version}")
    assert {str(each) for each in rendered.requirements.run} == expected
    raw = yaml.safe_load((ROOT / "conda" / "recipe.yaml").read_text(encoding="utf-8"))
    scripts = [f"{name} = {target}" for name, target in PROJECT["scripts"].items()]
    assert raw["build"]["python"]["entry_points"] == scripts
    assert raw["about"]["license"] == PROJECT["license"]
    assert raw["about"]["license_file"] == PROJECT["license-files"]


def instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines if line.strip()]


def test_the_dockerfile_follows_the_rules() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed")
    run(hadolint, "Dockerfile", cwd=ROOT)


def test_the_container_gets_what_it_copies() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert ignored[0] == "**"
    kept = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = {part for name, rest in instructions() if name == "COPY" for part in rest.split()[:-1]}
    assert copied == kept
    assert [name for name in copied if not (ROOT / name).exists()] == []


def pip_commands() -> list[list[str]]:
    """Return the arguments of each pip of the Dockerfile, its build arguments filled in."""
    values = dict(rest.split("=", 1) for name, rest in instructions() if name == "ARG")
    steps = " && ".join(rest for name, rest in instructions() if name == "RUN")
    for name, value in values.items():
        steps = steps.replace(f"${{{name}}}", value)
    words = [shlex.split(step) for step in steps.split("&&")]
    return [each[1:] for each in words if each[0] == "pip"]


def test_the_extras_of_the_container_exist() -> None:
    torch, package = pip_commands()
    assert torch[-1] == "torch"
    assert set(package[-1].removeprefix(".[").removesuffix("]").split(",")) <= set(PROJECT["optional-dependencies"])


@pytest.mark.slow
def test_the_steps_of_the_container_install_it(tmp_path: Path) -> None:
    """Without a daemon: the copied files alone, the last pip command in an empty environment, libraries of this one."""
    context = tmp_path / "opt"
    context.mkdir()
    for name, rest in instructions():
        for part in rest.split()[:-1] if name == "COPY" else ():
            ignore = shutil.ignore_patterns("__pycache__")
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, context / part, ignore=ignore)
            else:
                shutil.copy(ROOT / part, context / part)
    venv.create(tmp_path / "environment", with_pip=True)
    python = tmp_path / "environment" / "bin" / "python"
    packages = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip()
    (Path(packages) / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    arguments = pip_commands()[-1]
    # hatchling and the libraries are there: no index is asked
    run(python, "-m", "pip", *arguments, "--no-deps", "--no-index", "--no-build-isolation", cwd=context)
    listed = run(
        python, python.parent / "finewave", "models", "--json", cwd=tmp_path, FINEWAVE_WEIGHTS=str(context / "weights")
    )
    assert "jssunet-photo-x4" in listed
    assert json.loads(listed[listed.index("{") if listed.lstrip().startswith("{") else listed.index("[") :])
    module = run(python, "-c", "import finewave; print(finewave.__file__)", cwd=tmp_path).strip()
    assert module.startswith(packages)


def test_the_workflow_publishes_without_a_password() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert set(jobs["publish"]["needs"]) == {"test", "build"}
    assert "refs/tags/" in jobs["publish"]["if"]
    assert "secrets." not in text
    named = re.search(r"sed -n '(.*)' src/finewave/__init__.py", text)
    assert named is not None
    done = subprocess.run(["sed", "-n", named[1], "src/finewave/__init__.py"], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == finewave.__version__
    for target in re.findall(r"make ([a-z ]+)", text):
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert [name for name in target.split() if f"\n{name}: " not in makefile] == []
    for path in re.findall(r"tests/\w+\.py", text):
        assert (ROOT / path).is_file()


@pytest.mark.slow
def test_the_steps_of_the_release_run_here(tmp_path: Path) -> None:
    """Those that build, in a copy of the tracked files: what GitHub's runner would do, without its network."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        (tmp_path / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, tmp_path / "copy" / name)
    workflow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))
    steps = [step["run"] for step in workflow["jobs"]["build"]["steps"] if "run" in step]
    installs = [step for step in steps if "pip install" in step]
    assert installs == ["python -m pip install build twine"]  # which are here
    runner = {
        "GITHUB_REF_NAME": f"v{finewave.__version__}",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    for step in steps:
        if step not in installs:
            script = re.sub(r"python -m build$", "python -m build --no-isolation", step)
            run("bash", "-eo", "pipefail", "-c", script, cwd=tmp_path / "copy", **runner)
    sums = dict(line.split()[::-1] for line in (tmp_path / "copy/SHA256SUMS").read_text().splitlines())
    weights = {path.parent.name for path in (ROOT / "weights").glob("*/model.safetensors")}
    assert {f"{name}.safetensors" for name in weights} <= set(sums)
    assert len(sums) == len(weights) + 2  # sdist and wheel
    for name in weights:
        card = json.loads((ROOT / "weights" / name / "card.json").read_text(encoding="utf-8"))
        assert sums[f"{name}.safetensors"] in json.dumps(card)
    assert (tmp_path / "summary").read_text() == (tmp_path / "copy/SHA256SUMS").read_text()

"""The example of CONTRIBUTING, "Adding a system", made from the page in a copy of the repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COPIED = ("src", "tests", "recipes", "docs/models", "docs/tasks")
NETWORK, REGISTRY = "src/finewave/systems/spread/network.py", "src/finewave/systems/registry.py"
RECIPE, TESTS, DOCS = "recipes/spread-cave-x4-short.yaml", "tests/test_conformity.py", "docs/tasks/sssr.md"

TRAIN = """
import sys
from pathlib import Path

import torch

import finewave as fw
from finewave.datasets.catalogue.cave import wavelengths
from finewave.datasets.store import write_store
from finewave.training.trainer import train
from tests.training.conftest import smooth_scene

assert Path(fw.__file__).parents[2] == Path.cwd(), fw.__file__
split = {"train": ["scene0"], "val": ["scene1"], "test": []}
attributes = {"dataset": "cave", "full_scale": 65535, "split": split}
scenes = {f"scene{i}": smooth_scene(i, 32) for i in range(2)}
store = write_store(Path("small.zarr"), scenes.items(), wavelengths(), attributes)
one_step = ["phase1.steps=1", "phase1.validate_every=1", "data.crop=16", "data.batch_size=2"]
model = fw.load_model(train("spread-cave-x4-short", [f"data.store={store}", "out=run", *one_step]))
assert (model.name, model.card.system, model.card.training_crop) == ("spread-cave-x4-short", "spread", 16)
assert model.predict(lr_msi=torch.rand(1, 3, 4, 5)).shape == (1, 31, 16, 20)
assert "spread" in fw.list_models("sssr")
"""


def section() -> str:
    """Return what the page says."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return text.partition("## Adding a system\n")[2].partition("\n## ")[0]


def files_of(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.suffix in (".py", ".yaml", ".md")
    }


def put_after(path: Path, start: str, line: str) -> None:
    """Add a line to a file after the first one that begins with these words."""
    lines = path.read_text(encoding="utf-8").splitlines()
    place = next(number for number, each in enumerate(lines) if each.startswith(start))
    path.write_text("\n".join([*lines[: place + 1], line, *lines[place + 1 :], ""]), encoding="utf-8")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what the steps are about, before them."""
    skipped = shutil.ignore_patterns("__pycache__")
    for name in COPIED:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=skipped)
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "pyproject.toml"):
        shutil.copy(path, tmp_path / path.relative_to(ROOT))
    return tmp_path


def follow(page: str, root: Path) -> None:
    """Do in a copy of the repository what the page's numbered steps say, with the texts that stand there."""
    network, recipe = (
        textwrap.dedent(text).lstrip() for text in re.findall(r"write_text\('''\n(.*?)'''\)", page, re.S)
    )
    (root / NETWORK).parent.mkdir()
    (root / NETWORK).write_text(network, encoding="utf-8")
    (task, home) = re.findall(r'SYSTEMS\["spread"\] = System\("[^"]*", "(\w+)"\) +# there: "([^"]+)"', page)[0]
    put_after(root / REGISTRY, "SYSTEMS: dict", f'    "spread": System("{home}", "{task}"),')
    (root / RECIPE).write_text(recipe, encoding="utf-8")
    small, row = (textwrap.dedent(text) for text in re.findall(r"```text\n(.*?) *```", page, re.S))
    put_after(root / TESTS, "SMALL: dict", f"    {small.strip()}")
    put_after(root / DOCS, "| [`jssunet`]", row.strip())


def test_a_system_is_five_files(copy: Path) -> None:
    before = files_of(copy)
    follow(section(), copy)
    after = files_of(copy)
    assert {name for name, text in after.items() if before.get(name) != text} == {
        NETWORK,
        REGISTRY,
        RECIPE,
        TESTS,
        DOCS,
    }
    for name in (NETWORK.replace("spread", "<system>"), REGISTRY, "recipes/<name>.yaml", TESTS, "docs/tasks/<task>.md"):
        assert f"`{name}`" in section()


@pytest.mark.slow
def test_these_five_files_are_enough(copy: Path) -> None:
    """It trains, predicts, and passes the tests that are about every system."""
    follow(section(), copy)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(copy / "src"), str(copy)))}
    about_all = "spread or tasks_are or recipes_and_keys or every_system_has_a_page or table_of_the_page"
    files = (
        "test_conformity",
        "test_docs",
        "inference/tiling/test_seamless",
        "zoo/exports/test_export",
        "training/configuration/test_recipes",
    )
    tests = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", about_all, *(f"tests/{each}.py" for each in files))
    for command in (("-c", TRAIN), tests):
        done = subprocess.run([sys.executable, *command], cwd=copy, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert not re.search(r"\b0 passed|no tests ran", done.stdout)

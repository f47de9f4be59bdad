"""The written pages are true: blocks run, commands parse, links, files and names exist."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import itertools
import os
import re
import shlex
import textwrap
import tomllib
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from finewave.cli import main
from finewave.training.configuration.recipes import load_recipe
from finewave.types import TASKS
from tests.fork_server import ForkServer

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, *languages: str) -> list[tuple[int, str]]:
    """Return first line number and text of each fenced block of a page in one of the languages."""
    text = page.read_text(encoding="utf-8")
    return [
        (text[: match.start(3)].count("\n") + 1, textwrap.dedent(match[3]))
        for match in FENCE.finditer(text)
        if match[2] in languages
    ]


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def outside_input(folder: Path) -> None:
    """Put into a folder what pages may take for granted: ``scene.tif``, ``photo.png`` and ``photo.jpg``."""
    import imageio.v3 as iio

    from finewave.io.open_save import save_scene
    from finewave.scene import make_scene

    random = np.random.default_rng(1)
    values = random.random((3, 24, 20), dtype=np.float32)
    place = {"crs": "EPSG:32631", "transform": (10.0, 0.0, 500000.0, 0.0, -10.0, 4400000.0)}
    save_scene(make_scene(values, wavelengths=[600.0, 540.0, 460.0], **place), folder / "scene.tif")
    for name in ("photo.png", "photo.jpg"):
        iio.imwrite(folder / name, random.integers(0, 256, (24, 20, 3), dtype=np.uint8))


WITH_PYTHON = [page for page in PAGES if blocks(page, "python")]
WITH_COMMANDS = [page for page in PAGES if blocks(page, "console", "sh", "bash", "shell")]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_python_blocks_run(page: Path, tmp_path: Path, fork_server: ForkServer) -> None:
    """All blocks of a page, in one process of their own: pages may not lean on each other or on outside data."""
    outside_input(tmp_path)
    lines = page.read_text(encoding="utf-8").count("\n") + 1
    # every block at its own place, so that an error names the line of the page
    program = [""] * lines
    for first, text in blocks(page, "python"):
        program[first - 1 : first - 1 + text.count("\n")] = text.rstrip("\n").split("\n")
    assert len(program) == lines
    (tmp_path / page.name).write_text("\n".join(program), encoding="utf-8")
    environment = os.environ | {
        "FINEWAVE_DATA": str(tmp_path / "none"),
        "FINEWAVE_PREPARED": str(tmp_path / "prepared"),
        "OMP_NUM_THREADS": "1",
    }
    done = fork_server.run("import runpy, sys; runpy.run_path(sys.argv[1])", page.name, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]


def test_blocks_are_found() -> None:
    """The pages that matter have blocks: a fence that the pattern misses would pass unseen."""
    for page in ("docs/models/jssunet.md", "docs/files.md", "docs/training.md", "CONTRIBUTING.md"):
        fences = re.findall(r"^ *```python$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
        assert len(blocks(ROOT / page, "python")) == len(fences) > 1


def commands_in(text: str) -> list[list[str]]:
    """Return the words of each command in lines as one types them, up to where the shell sends its output."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line.strip().removeprefix("$ "), comments=True)
        if words:
            found.append(list(itertools.takewhile(lambda word: word not in (">", ">>", "|"), words)))
    return found


def commands(page: Path) -> list[list[str]]:
    """Return the words of each command in the page's shell blocks."""
    return [words for _, text in blocks(page, "console", "sh", "bash", "shell") for words in commands_in(text)]


def parse(command: click.Command, words: list[str], parent: click.Context | None = None) -> tuple[str, dict]:
    """Parse a command line without running it; return the command's name and its parameters."""
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=command.name, parent=parent)
        _, inner, rest = command.resolve_command(context, words)
        return parse(inner, rest, context)
    context = command.make_context(command.name, list(words), parent=parent)
    return command.name or "", context.params


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name_of)
def test_commands_exist(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _, text in blocks(page, "yaml"):  # recipes that a page shows begin with their name
        name = re.match(r"# (\S+\.yaml)\n", text)
        if name:
            Path(name[1]).write_text(text, encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    checked = 0
    for words in commands(page):
        program = Path(words[0]).name
        if program == "make":
            assert set(words[1:]) <= targets, words
            checked += 1
        if program == "finewave":
            try:
                name, parameters = parse(main, [word for word in words[1:] if word not in ("--debug", "--quiet")])
            except click.exceptions.Exit:  # --help and --version end the parsing
                continue
            except click.ClickException as error:
                pytest.fail(f"{shlex.join(words)}: {error.format_message()}")
            if name == "train":
                load_recipe(parameters["recipe"], parameters["overrides"])
            checked += 1
    assert checked, "no command of this page was recognised"


@pytest.mark.parametrize(
    "line",
    [
        "finewave predic scene.tif -o out.tif --model m",
        "finewave predict scene.tif --model m",
        "finewave predict scene.tif -o out.tif --model m --tiles 64",
        "finewave data prepare cave",
    ],
)
def test_wrong_commands_are_noticed(line: str) -> None:
    with pytest.raises(click.ClickException):
        parse(main, shlex.split(line)[1:])


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if not re.match(r"https?://|mailto:|#", target):
            assert (page.parent / target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_named_files_exist(page: Path) -> None:
    for path in re.findall(r"`((?:src|tests|recipes|docs|weights|\.ci)/[^`\s]*)`", prose(page)):
        if "<" not in path:
            assert (ROOT / path.partition("::")[0]).exists(), path


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_named_functions_exist(page: Path) -> None:
    for dotted in re.findall(r"`(finewave(?:\.\w+)+)", prose(page)):
        assert resolves(dotted), dotted


def resolves(dotted: str) -> bool:
    """Return whether a dotted name is a module, or something in one."""
    module, rest = dotted, ""
    while module:
        try:
            value = importlib.import_module(module)
        except ModuleNotFoundError:
            module, _, last = module.rpartition(".")
            rest = f"{last}.{rest}".rstrip(".")
            continue
        for part in rest.split(".") if rest else []:
            if not hasattr(value, part):
                return False
            value = getattr(value, part)
        return True
    return False


def test_wrong_names_are_noticed() -> None:
    assert resolves("finewave.nn.sampling.Up")
    assert not resolves("finewave.nn.sampling.Upp")
    assert not resolves("finewave.nm.sampling")


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = [page.relative_to(ROOT / "docs") for page in (ROOT / "docs").rglob("*") if page.suffix in (".md", ".ipynb")]
    results = ROOT / "docs" / "results" / "README.md"  # tables of studies have an index of their own
    told = results.read_text(encoding="utf-8") if results.exists() else ""
    missing = [
        str(page)
        for page in pages
        if str(page) != "README.md"
        and f"({page})" not in index
        and not (page.parent.name == "results" and f"({page.name})" in told)
    ]
    assert missing == []


def rows_of(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading."""
    text = f"\n{(ROOT / page).read_text(encoding='utf-8')}".split(f"\n{heading}\n", 1)[1]
    table = re.search(r"^\|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert table
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]


# system: its page, where that has another name
PAGE_OF = {"mst++": "mstpp", **dict.fromkeys(("edsr", "gdrrn", "3d-fcnn", "ssjsr"), "comparison")}


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "models").glob("*.md")), ids=name_of)
def test_options_are_those_of_the_code(page: Path) -> None:
    """A row names an option, or several with their defaults in the same order."""
    from finewave.systems.registry import system_named

    system = {page: system for system, page in PAGE_OF.items()}.get(page.stem, page.stem)
    told = {}
    for row in rows_of(name_of(page), "## Options"):
        names = re.findall(r"`(\w+)`", row[0])
        defaults = ast.literal_eval(f"[{row[1].replace('`', '')}]")
        told |= dict(zip(names, defaults, strict=True))
    signature = inspect.signature(system_named(system).load()).parameters
    assert told == {name: parameter.default for name, parameter in signature.items()}


def test_every_system_has_a_page() -> None:
    from finewave.systems.registry import SYSTEMS

    pages = {page.stem: page.read_text(encoding="utf-8") for page in (ROOT / "docs").rglob("*.md")}
    for name, system in SYSTEMS.items():
        if system.baseline:
            assert f"| `{name}` |" in pages["baselines"]
        elif name in ("sr-ssr", "ssr-sr", "sr-ssr-fusion"):
            assert f"| `{name}` |" in pages["compositions"]
        else:
            page = pages.get(PAGE_OF.get(name, re.sub("-(sr|ssr|fusion)$", "", name)), pages[system.task])
            assert f"`{name}`" in page or f'"{name}"' in page


@pytest.mark.parametrize("task", ["sssr", "sr", "ssr", "fusion", "refsr"])
def test_tasks_are_those_of_the_code(task: str) -> None:
    from finewave.systems.registry import SYSTEMS
    from finewave.zoo.distribution.listing import list_models

    page = f"docs/tasks/{task}.md"
    title = (ROOT / page).read_text(encoding="utf-8").partition("\n")[0]
    tables = re.findall(r"^\|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert title.startswith("# ")
    told = [re.findall(r"`([^`]+)`", line.split("|")[1]) for line in tables[1].splitlines()]
    assert sorted(name for (name,) in told) == list_models(task)
    system = SYSTEMS[list_models(task)[0]]
    images = [re.findall(r"`(\w+)`", line.split("|")[2])[0] for line in tables[0].splitlines()]
    assert images == [*system.inputs, system.output]


def test_weights_are_those_that_ship() -> None:
    from finewave.zoo.card import Card
    from finewave.zoo.distribution.bundled_weights import CARD, weight_folders

    for name, folder in weight_folders().items():
        card = Card.read(folder / CARD)
        (scores,) = card.metrics.values()
        mean, floor = scores["mean"], scores["baseline"]["mean"]
        whole = {"scene-ridge-cave": "scene-ridge"}  # on the page of its part, as chains are on that of the first
        page = whole.get(name, card.config.get("sr", PAGE_OF.get(card.system, card.system)))
        rows = rows_of(f"docs/models/{page}.md", "## Trained weights")
        (row,) = [row for row in rows if row[0] == f"`{name}`"]
        assert row[1:] == [
            str(card.scale),
            "" if card.sensor is None else f"`{card.sensor}`",
            f"{card.parameters:,}",
            f"{mean['psnr']:.2f}",
            f"{mean['ssim']:.4f}",
            f"{mean['sam']:.2f}",
            f"{mean['ergas']:.2f}",
            f"{floor['psnr']:.2f}",
            f"{floor['sam']:.2f}",
        ]


@pytest.mark.parametrize("task", TASKS)
def test_the_page_of_a_task_has_its_weights(task: str) -> None:
    path = ROOT / "docs" / "theme" / "weights.py"
    spec = importlib.util.spec_from_file_location("weights", path)
    assert spec is not None
    assert spec.loader is not None
    weights = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(weights)
    text = weights.page_of(task).read_text(encoding="utf-8")
    assert weights.updated(text, task) == text, "python docs/theme/weights.py writes it"
    assert re.search(r"^\| \[`", text, re.MULTILINE)


def test_protocols_are_those_of_the_code() -> None:
    from finewave.evaluation.protocols import PROTOCOLS

    rows = rows_of("docs/protocols.md", "## Published protocols")
    assert [row[0].strip("`") for row in rows] == list(PROTOCOLS)
    for row, protocol in zip(rows, PROTOCOLS.values(), strict=True):
        assert row[2] == f"`{protocol.degradation['kernel']}`"
        assert ("whole scenes" if protocol.crop is None else f"crops of {protocol.crop} x {protocol.crop}") in row[3]
        assert row[4] == f"`{protocol.convention}`"
        assert row[5] == ", ".join(f"`{metric}`" for metric in protocol.metrics)
        assert row[6] == ("the data set's" if protocol.sensor is None else f"`{protocol.sensor}`")


def run_line(line: str) -> str:
    """Run a command line of a page in the working folder; return what it prints."""
    program, *words = shlex.split(line, comments=True)
    assert program == "finewave"
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, f"{line}: {done.output}"
    return done.stdout


def start_commands() -> list[str]:
    page = ROOT / "docs" / "start.md"
    return [line for _, text in blocks(page, "console") for line in text.splitlines() if line.startswith("finewave ")]


def test_commands_of_the_first_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outside_input(tmp_path)
    # the viewer runs until it is stopped; the demo is slow
    lines = [line for line in start_commands() if line != "finewave demo" and not line.startswith("finewave view")]
    assert len(lines) > 2
    for line in lines:
        run_line(line)
    assert (tmp_path / "photo.tif").stat().st_size > 0


@pytest.mark.slow
def test_demo_of_the_first_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "finewave demo" in start_commands()
    assert "consistency:" in run_line("finewave demo")
    assert (tmp_path / "demo" / "result.png").exists()
    assert (tmp_path / "demo" / "result.tif").exists()


def test_the_page_of_the_command_line_has_every_command() -> None:
    told = [
        name for row in rows_of("docs/command-line.md", "# Command line") for name in re.findall(r"`(\w+)`", row[0])
    ]
    assert sorted(told) == sorted(main.commands)


def test_extras_of_the_first_page_exist() -> None:
    page = (ROOT / "docs" / "start.md").read_text(encoding="utf-8")
    told = [name for names in re.findall(r"pip install -e '\.\[([\w,]+)\]'", page) for name in names.split(",")]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert told
    assert set(told) <= set(extras)


def test_formats_are_those_of_the_code() -> None:
    from finewave.io.open_save import FORMATS, READ_ONLY

    told = {
        extension for row in rows_of("docs/files.md", "## Formats") for extension in re.findall(r"`(\.\w+)`", row[1])
    }
    stac = {".json", ".geojson"}  # known by what is in them, as products are
    assert told == stac | {extension for each in (*FORMATS, *READ_ONLY) for extension in each.extensions}
    for each in FORMATS:
        for option in each.save_options:
            assert any(re.search(rf"`{option}[=`]", row[4]) for row in rows_of("docs/files.md", "## Formats")), option


def test_sensors_are_those_of_the_code() -> None:
    from finewave.physics.sensors.satellites import satellite_names

    told = {name for row in rows_of("docs/sensors.md", "## Names") for name in re.findall(r"`([\w.-]+)`", row[0])}
    assert set(satellite_names()) <= told


def test_metrics_and_conventions_are_those_of_the_code() -> None:
    from finewave.metrics import CONVENTIONS, METRICS

    assert [row[0].strip("`") for row in rows_of("docs/metrics.md", "## Definitions")] == list(METRICS)
    told = [row[0].strip('`"') for row in rows_of("docs/metrics.md", "## Conventions")]
    assert told == list(CONVENTIONS)


def test_recipes_and_keys_are_those_of_the_code() -> None:
    from finewave.training.configuration.recipes import list_recipes

    told = {name for row in rows_of("docs/training.md", "## Recipes") for name in re.findall(r"`([^`]+)`", row[0])}
    for page in (
        *(ROOT / "docs" / "models").glob("*.md"),
        *(ROOT / "docs" / "tasks").glob("*.md"),
    ):  # or beside the system
        told |= set(re.findall(r"`([^`]+)`", page.read_text(encoding="utf-8"))) & set(list_recipes())
    assert sorted(told) == sorted(list_recipes())
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    keys = set()
    for name in ("jssunet-cave-x4", "common-cave-x4"):
        recipe = load_recipe(name)
        keys |= {key for key in recipe if not key.startswith("phase")}
        keys |= {f"data.{key}" for key in recipe["data"]}
        keys |= {key for phase in ("phase1", "phase2") for key in recipe.get(phase, ())}
    untold = [key for key in keys if f"`{key}`" not in page and f"`phaseN.{key}`" not in page and key != "data"]
    assert untold == []


def test_card_keys_are_those_of_the_code() -> None:
    from dataclasses import fields

    from finewave.zoo.card import Card

    told = [key for row in rows_of("docs/training.md", "## The card") for key in re.findall(r"`(\w+)`", row[0])]
    assert sorted(told) == sorted(field.name for field in fields(Card))

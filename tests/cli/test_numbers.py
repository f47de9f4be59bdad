"""Every option that takes a number, of every command, with numbers that are none, and those beyond all bounds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest

import finewave as fw
from finewave.cli import main
from finewave.scene import make_scene
from tests.cli.command_line import run
from tests.inference.tiny_models import save_model

HUGE = "9" * 400
WRONG = ["nan", "inf", "-inf", "-1", "-1e300", "1e999", "many", "", "0x10", "1;2", HUGE]
MEANT = {
    ("predict", "nodata"): {"nan", "-1", "inf", "-inf", "-1e300", "1e999", HUGE},  # any number may mark missing values
    ("predict", "tile"): {HUGE},  # one tile
    ("anchors", "seed"): {"-1", HUGE},
}
"""What is right although it looks wrong."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("numbers")
    values = np.random.default_rng(3).random((3, 20, 20), dtype=np.float32)
    fw.save_scene(make_scene(values, wavelengths=[600.0, 560.0, 490.0]), place / "a.tif")
    save_model(place / "tiny")
    return place


NUMBERS = (click.types.FloatParamType, click.types.IntParamType)
COMMANDS = {
    "anchors": "{0}/a.tif --model {0}/tiny -o {0}/p.csv",
    "calibrate": "{0}/tiny",
    "compare": "{0}/a.tif {0}/a.tif",
    "data prepare": "mine --own --from {0}",
    "evaluate": "--model quadratic --dataset cave",
    "export": "{0}/tiny -o {0}/t.onnx",
    "figure": "{0}/a.tif -o {0}/f.png",
    "fit": "{0}/a.tif -o {0}/m --sensor sentinel2a --sensor-bands B2,B3 --scale 2",
    "info": "{0}/a.tif",
    "predict": "{0}/a.tif -o {0}/out.tif --model {0}/tiny",
    "report": "{0}/a.tif -o {0}/r.html",
    "view": "{0}/a.tif",
}


def options() -> Iterator[tuple[str, click.Option]]:
    """Yield every option with a number of the commands above."""
    for name in COMMANDS:
        command: click.Command = main
        for word in name.split():
            assert isinstance(command, click.Group)
            found = command.get_command(click.Context(command), word)
            assert found is not None
            command = found
        for each in command.params:
            kind = each.type.types[0] if isinstance(each.type, click.Tuple) else each.type
            if isinstance(each, click.Option) and isinstance(kind, NUMBERS):
                yield name, each


CASES = [pytest.param(*each, id=f"{each[0]} {each[1].opts[-1]}") for each in options()]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("command", "option"), CASES)
def test_wrong_numbers_are_refused_in_one_line(command: str, option: click.Option, folder: Path) -> None:
    given = [*command.split(), *COMMANDS[command].format(folder).split()]
    for value in WRONG:
        if value not in MEANT.get((command, str(option.name)), ()):
            result = run(*given, option.opts[-1], *[value] * option.nargs)
            assert result.exit_code == 2, (value, result.output)
            errors = [line for line in result.stderr.splitlines() if not line.startswith("warning: ")]
            assert len(errors) == 1, (value, result.stderr)
            assert errors[0].startswith("error: ")

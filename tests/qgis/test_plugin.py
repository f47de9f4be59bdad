"""The plugin of QGIS: its commands everywhere, and its algorithms by `qgis_process` where QGIS is installed."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from finewave.inference.predict import predict_file
from finewave.io.open_save import load_scene, save_scene
from finewave.scene import make_scene
from finewave.systems.registry import create_model
from finewave.zoo.card import describe
from finewave.zoo.model import Model
from tests.file_modules import module_of
from tests.qgis.test_deepness_tiles import alone, python_of_qgis

ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / "packages/qgis"
# Debian's script qgis_process of 3.22 passes on an option that its program refuses
QGIS = next(filter(None, map(shutil.which, ("qgis_process.bin", "qgis_process"))), None)
needs_qgis = pytest.mark.skipif(QGIS is None, reason="qgis_process is not installed (apt-get install qgis)")
WAVELENGTHS = [600.0, 540.0, 460.0]
PLACE = {"crs": "EPSG:32631", "transform": (10.0, 0.0, 5e5, 0.0, -10.0, 4e6)}


@pytest.fixture(scope="module")
def command() -> ModuleType:
    return module_of(PLUGINS / "finewave_qgis/command.py")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """finewave as a program, as an environment of its own has it."""
    path = tmp_path / "finewave"
    path.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT / "src"}" exec "{sys.executable}" -m finewave "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_command_lines(command: ModuleType) -> None:
    assert command.predict_arguments("a b.tif", "o.tif", "m", full_scale=255.0, anchors="", more="--tile 64") == [
        *("predict", "a b.tif", "-o", "o.tif", "--model", "m", "--full-scale", "255.0", "--tile", "64")
    ]
    assert command.fit_arguments(["a.tif", "b.tif"], "f", 4, "sentinel2a", "B2,B3", 3.0) == [
        *("fit", "a.tif", "b.tif", "-o", "f", "--scale", "4", "--sensor", "sentinel2a", "--sensor-bands", "B2,B3"),
        *("--minutes", "3.0"),
    ]
    assert command.anchors_arguments("a.tif", "p.geojson", "m", 5)[-4:] == ["-n", "5", "-o", "p.geojson"]
    with pytest.raises(command.CommandError, match="cannot be split"):
        command.split("'")


def test_options_are_those_of_the_command_line(command: ModuleType) -> None:
    from finewave.cli import main

    for arguments in (
        command.predict_arguments("a", "b", "c", "d", 1.0, "e"),
        command.fit_arguments(["a"], "b", 1, "c", "d", 1.0),
        command.anchors_arguments("a", "b", "c", 1, 1.0),
    ):
        options = {option for each in main.commands[arguments[0]].params for option in each.opts}
        assert {each for each in arguments if each.startswith("-")} <= options


def test_missing_program(command: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(command.SETTING, "/absent/finewave")
    with pytest.raises(command.CommandError, match="'/absent/finewave' is not found: install finewave"):
        command.program()
    assert command.program(sys.executable) == sys.executable


def test_lines_errors_and_variables_of_qgis(command: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/of/qgis")
    lines: list[str] = []
    code = "import os, sys; print('PYTHONHOME' in os.environ); print('error: too dark', file=sys.stderr); sys.exit(2)"
    with pytest.raises(command.CommandError, match=r"^finewave: too dark$"):
        command.run([sys.executable, "-c", code], lines.append)
    assert sorted(lines) == ["False", "error: too dark"]


def test_a_cancelled_run_is_stopped(command: ModuleType) -> None:
    start = time.monotonic()
    command.run([sys.executable, "-c", "import time; time.sleep(250)"], cancelled=lambda: True)
    assert time.monotonic() - start < 200


def test_models_for_the_list(command: ModuleType, program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights by name, with what a user chooses by; without finewave there is nothing to choose from."""
    listed = dict(command.models(str(program)))
    assert listed["sentinel2-enmap"] == "sentinel2a:B2,B3,B4,B5,B6,B7,B8,B8A,B11,B12, same pixels, 218 bands"
    assert listed["jssunet-photo-x4"] == "srgb, pixels x4, 31 bands"
    assert listed["bandwise-sr-any-x2"] == "any sensor, pixels x2, same bands"
    assert "bicubic" not in listed
    monkeypatch.setenv(command.SETTING, "/absent/finewave")
    assert command.models() == []
    program.write_text("#!/bin/sh\necho nonsense\n")
    other = program.rename(program.with_name("other"))
    assert command.models(str(other)) == []


# --- In QGIS ------------------------------------------------------------------------------------------------------


@pytest.fixture
def qgis(tmp_path: Path, program: Path) -> Any:
    """A function that runs `qgis_process` with the plugin and returns its standard output."""
    environment = os.environ | {
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(tmp_path),
        "QT_QPA_PLATFORM": "offscreen",
        "QGIS_PLUGINPATH": str(PLUGINS),
        "FINEWAVE_COMMAND": str(program),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment.pop("PYTHONPATH", None)

    def call(*arguments: str, fails: bool = False) -> str:
        done = subprocess.run([str(QGIS), *arguments], capture_output=True, text=True, env=environment, check=False)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    call("plugins", "enable", "finewave_qgis")
    return call


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    values = np.random.default_rng(0).random((3, 40, 30), np.float32)
    save_scene(make_scene(values, WAVELENGTHS, **PLACE), tmp_path / "scene.tif")
    return tmp_path / "scene.tif"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    net = create_model("bicubic", scale=2, hs_bands=3)
    return Model(net, describe(net, wavelengths_nm=WAVELENGTHS)).save(tmp_path / "bicubic-x2", name="bicubic-x2")


@pytest.mark.slow
@needs_qgis
def test_predict_in_qgis(qgis: Any, scene: Path, weights: Path, tmp_path: Path) -> None:
    """The result is that of the command line, and its wavelengths are there for the layer."""
    output = tmp_path / "result.tif"
    said = qgis("run", "finewave:predict", "--", f"INPUT={scene}", f"MODEL={weights}", f"OUTPUT={output}")
    assert str(output) in said
    expected = load_scene(predict_file(scene, tmp_path / "expected.tif", weights)[0])
    result = load_scene(output)
    assert result.shape == (3, 80, 60)
    np.testing.assert_array_equal(result.values, expected.values)
    np.testing.assert_array_equal(result["wavelength"], expected["wavelength"])
    message = qgis("run", "finewave:predict", "--", f"INPUT={scene}", "MODEL=absent", f"OUTPUT={output}", fails=True)
    assert "absent" in message
    assert "Traceback" not in message


@pytest.mark.slow
@needs_qgis
@pytest.mark.timeout(900)
def test_fit_and_anchors_in_qgis(qgis: Any, tmp_path: Path) -> None:
    """A regression is fitted to a scene, and places are chosen for what it makes of its bands."""
    generator = np.random.default_rng(1)
    parts, spectra = generator.random((4, 64, 64), np.float32), generator.random((4, 16), np.float32)
    hsi = np.einsum("kyx,kb->byx", parts / parts.sum(0), spectra)
    save_scene(make_scene(hsi, np.linspace(420.0, 720.0, 16), **PLACE), tmp_path / "hsi.tif")
    model = tmp_path / "model"
    options = "OPTIONS=--system kernel-ridge"
    given = (f"INPUT={tmp_path / 'hsi.tif'}", "SENSOR=nikon-d5100", "SCALE=1", "MINUTES=0.1", options)
    qgis("run", "finewave:fit", "--", *given, f"OUTPUT={model}")
    assert (model / "card.json").exists()
    places = tmp_path / "places.geojson"
    rgb = tmp_path / "rgb.tif"
    save_scene(make_scene(hsi[[12, 7, 2]], [660.0, 560.0, 460.0], **PLACE), rgb)
    qgis("run", "finewave:anchors", "--", f"INPUT={rgb}", f"MODEL={model}", "COUNT=3", f"OUTPUT={places}")
    assert len(json.loads(places.read_text())["features"]) == 3


@pytest.mark.slow
@needs_qgis
def test_what_a_call_leaves_out_is_as_in_the_form(qgis: Any, program: Path, scene: Path, tmp_path: Path) -> None:
    """Ten minutes of training; numbers without a default are not given at all."""
    program.write_text('#!/bin/sh\necho "arguments: $@"\n')
    said = qgis("run", "finewave:fit", "--", f"INPUT={scene}", f"OUTPUT={tmp_path / 'model'}")
    assert f"arguments: fit {scene} -o {tmp_path / 'model'} --scale 2 --minutes 10.0\n" in said
    said = qgis("run", "finewave:predict", "--", f"INPUT={scene}", "MODEL=a", f"OUTPUT={tmp_path / 'a.tif'}")
    assert f"arguments: predict {scene} -o {tmp_path / 'a.tif'} --model a\n" in said


@pytest.mark.slow
@needs_qgis
def test_the_toolbox_lists_the_algorithms(qgis: Any) -> None:
    listed = qgis("list")
    assert all(f"finewave:{name}" in listed for name in ("predict", "fit", "anchors"))


FORM = """
import os, sys
sys.path[:0] = [sys.argv[1], "/usr/share/qgis/python/plugins"]
from qgis.core import QgsApplication, QgsProcessingContext
application = QgsApplication([], True)
application.initQgis()
from processing.core.Processing import Processing
Processing.initialize()
from processing.gui.AlgorithmDialog import AlgorithmDialog
from finewave_qgis.plugin import FinewaveProvider
provider, context = FinewaveProvider(), QgsProcessingContext()
QgsApplication.processingRegistry().addProvider(provider)
for name in ("predict", "anchors"):
    dialog = AlgorithmDialog(provider.algorithm(name).create())
    wrapper = dialog.mainWidget().wrappers["MODEL"]
    names = [wrapper.widget.itemText(number) for number in range(wrapper.widget.count())]
    print("listed", "sentinel2-enmap" in names, "jssunet-photo-x4" in names, names[0] == "")
    for text in ("sentinel2-enmap", "/a folder/of a model"):
        wrapper.widget.setEditText(text)
        print("value", wrapper.parameterValue())
    wrapper.setParameterValue("net.onnx", context)
    print("shown", wrapper.widget.currentText())
sys.stdout.flush()
os._exit(0)  # QGIS 3.22 crashes when layers are still there at its end
"""


@pytest.mark.slow
@needs_qgis
def test_the_form_lists_models_and_takes_others(program: Path, tmp_path: Path) -> None:
    """As the dialog of the toolbox builds it."""
    python = python_of_qgis(tmp_path)
    if python is None:
        pytest.skip("the Python of QGIS is not installed (apt-get install qgis)")
    environment = alone(tmp_path) | {"FINEWAVE_COMMAND": str(program), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [python, "-c", FORM, str(PLUGINS)], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    expected = ["listed True True True", "value sentinel2-enmap", "value /a folder/of a model", "shown net.onnx"]
    assert [each for each in done.stdout.splitlines() if each.startswith(("listed", "value", "shown"))] == 2 * expected

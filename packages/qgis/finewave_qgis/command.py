"""The command line of finewave, run as a program of its own: nothing here needs QGIS.

The Python of QGIS lacks PyTorch, and its libraries are often of other versions than finewave's. So finewave runs in
its own environment, and images go from file to file.
"""

import functools
import json
import os
import shlex
import shutil
import signal
import subprocess
import threading
from pathlib import Path

SETTING = "FINEWAVE_COMMAND"
"""Of Processing, and the variable of the environment that is used where it is empty."""

OF_QGIS = (
    "PYTHONHOME",
    "PYTHONPATH",
    "GDAL_DATA",
    "GDAL_DRIVER_PATH",
    "PROJ_DATA",
    "PROJ_LIB",
    "LD_LIBRARY_PATH",
    "VIRTUAL_ENV",
)
"""Variables by which QGIS finds its own libraries: another Python would find them instead of its own."""


class CommandError(Exception):
    """The program is missing, or failed with a message of one line."""


def program(setting=""):
    """Return the path of finewave: of the setting, of the variable ``FINEWAVE_COMMAND``, or the one that is found."""
    wanted = setting.strip() or os.environ.get(SETTING, "").strip() or "finewave"
    path = shutil.which(str(Path(wanted).expanduser()))
    if path is None:
        raise CommandError(
            "the program {!r} is not found: install finewave in an environment of its own, and give the path of its "
            "command under Settings > Options > Processing > Providers > finewave".format(wanted)
        )
    return path


def predict_arguments(source, output, model, guide=None, full_scale=None, anchors=None, more=""):
    """Return the arguments of ``finewave predict``; ``more`` are further options as in a shell."""
    arguments = ["predict", source, "-o", output, "--model", model]
    for option, value in (("--guide", guide), ("--full-scale", full_scale), ("--anchors", anchors)):
        if value not in (None, ""):
            arguments += [option, str(value)]
    return arguments + split(more)


def fit_arguments(scenes, output, scale, sensor=None, bands=None, minutes=None, more=""):
    """Return the arguments of ``finewave fit``."""
    arguments = ["fit", *scenes, "-o", output, "--scale", str(scale)]
    for option, value in (("--sensor", sensor), ("--sensor-bands", bands), ("--minutes", minutes)):
        if value not in (None, ""):
            arguments += [option, str(value)]
    return arguments + split(more)


def anchors_arguments(scene, output, model, count, full_scale=None):
    """Return the arguments of ``finewave anchors``."""
    arguments = ["anchors", scene, "--model", model, "-n", str(count), "-o", output]
    return arguments if full_scale is None else [*arguments, "--full-scale", str(full_scale)]


def models(setting=""):
    """Return the models with weights that ``finewave models`` lists: (name, facts in a line); empty if it fails."""
    try:
        listed = _models_of(program(setting))
    except (CommandError, OSError, ValueError, subprocess.SubprocessError):
        return []
    return sorted((each["name"], _facts(each)) for system in listed for each in system["weights"])


@functools.lru_cache(maxsize=4)
def _models_of(path):
    """Return the systems with their weights; asked once, as it takes a second or two."""
    asked = [path, "models", "--json"]
    done = subprocess.run(
        asked, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=60, check=True
    )
    return json.loads(done.stdout.decode("utf-8"))


def _facts(weights):
    """Return sensor, scale and number of bands."""
    bands, scale = weights.get("wavelengths_nm"), weights.get("scale") or 1
    facts = [
        str(weights.get("sensor") or "any sensor"),
        "pixels x{}".format(scale) if scale > 1 else "same pixels",
        "{} bands".format(len(bands)) if bands else "same bands",
    ]
    return ", ".join(facts)


def split(text):
    """Return options as a shell splits them."""
    try:
        return shlex.split(text or "")
    except ValueError as error:
        raise CommandError("further options {!r} cannot be split: {}".format(text, error)) from error


def environment():
    """Return the environment without the variables of QGIS."""
    return {key: value for key, value in os.environ.items() if key not in OF_QGIS}


def run(arguments, say=print, cancelled=lambda: False):
    """Run a command, hand on its lines, and stop it when that is asked for.

    Parameters
    ----------
    arguments : list of str
        Program and arguments.
    say : callable
        Called with each line.
    cancelled : callable
        Asked twice a second; finewave then stops after the current tile and keeps what is finished.

    Raises
    ------
    CommandError
        If it fails; the message is finewave's own.
    """
    process = subprocess.Popen(
        arguments,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    lines = []

    def read():
        for line in process.stdout:
            lines.append(line.rstrip())
            say(lines[-1])

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    stopping = False
    while process.poll() is None:
        if cancelled() and not stopping:
            stopping = True
            process.send_signal(signal.SIGTERM)
        reader.join(0.5)
        if not reader.is_alive():
            process.wait()
    reader.join()
    process.stdout.close()
    if process.returncode != 0 and not stopping:
        errors = [line for line in lines if line.startswith("error: ")] or lines[-1:] or ["no message"]
        raise CommandError(errors[-1].replace("error: ", "finewave: ", 1))

"""Execute the notebooks of this folder, and store their outputs: ``python docs/notebooks/execute.py [NAME...]``.

A notebook is edited anywhere, executed here. What is stored is small (pictures have at most 256 colours), and free of
times and folders of the machine. A digest of the code cells stands in the metadata, so that `tests/test_notebooks.py`
notices outputs of other code. Real scenes are used if ``FINEWAVE_DATA`` has them.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from PIL import Image

from finewave.locations import data_folder

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
COLOURS = 256
THUMBNAIL = (420, 420)
SHAPE = 0.62
"""Height of a picture of the gallery by its width: the upper part of a tall figure."""
TIMEOUT = 240
"""Seconds for one cell."""


def notebooks() -> list[Path]:
    """Return the notebooks in the order of the alphabet."""
    return sorted(FOLDER.glob("*.ipynb"))


def digest(notebook: Any) -> str:
    """Return the digest of the code cells; a notebook's outputs are of this code."""
    code = "\0".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def executed(path: Path, data: Path | None) -> Any:
    """Return a notebook with new outputs, executed in an empty folder.

    Parameters
    ----------
    path : Path
    data : Path or None
        Folder of real scenes; None: without, so that scenes are made up.
    """
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        absent = Path(folder) / "absent"
        environment = {
            **os.environ,
            "FINEWAVE_DATA": str(absent if data is None else data.resolve()),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2"),
            "MPLCONFIGDIR": str(Path(folder) / "matplotlib"),
            "IPYTHONDIR": str(Path(folder) / "ipython"),
        }
        work = Path(folder) / "work"
        work.mkdir()
        client = NotebookClient(
            notebook,
            timeout=TIMEOUT,
            kernel_name="python3",
            extra_arguments=["--log-level=40"],  # it warns of every connection without encryption
            resources={"metadata": {"path": str(work)}},
            record_timing=False,
        )
        client.execute(env=environment)
    return notebook


def store(notebook: Any, path: Path) -> None:
    """Write an executed notebook, and its largest picture as a small one for the gallery."""
    pictures = []
    for cell in notebook.cells:
        cell.metadata.clear()
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            data.pop("text/html", None)  # the plain text is enough, and shows everywhere
            if "image/png" in data:
                pictures.append(base64.b64decode(data["image/png"]))
                data["image/png"] = base64.b64encode(_fewer_colours(pictures[-1])).decode()
                data.pop("text/plain", None)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "finewave": {"code": digest(notebook)},
    }
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    path.write_text(nbformat.writes(notebook), encoding="utf-8")
    picture = Image.open(io.BytesIO(max(pictures, key=len))).convert("RGB")
    width = picture.width
    picture = picture.crop((0, 0, width, min(picture.height, round(width * SHAPE)))).convert("RGB")
    picture.thumbnail(THUMBNAIL)
    (path.parent / "images").mkdir(exist_ok=True)
    picture.save(path.parent / "images" / f"{path.stem}.webp", quality=85)


def _joined(outputs: list[Any]) -> list[Any]:
    """Return outputs with texts that follow each other in one: how a kernel cuts them differs from run to run."""
    joined: list[Any] = []
    for output in outputs:
        if joined and output.output_type == "stream" and joined[-1].get("name") == output.name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def _fewer_colours(png: bytes) -> bytes:
    out = io.BytesIO()
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.FLOYDSTEINBERG).save(out, "PNG", optimize=True)
    return out.getvalue()


def main(names: list[str]) -> int:
    """Execute and store the notebooks of these names, without names all."""
    known = {path.stem: path for path in notebooks()}
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no notebook {unknown[0]!r}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    data = data_folder() if data_folder().is_dir() else None
    for name in names or list(known):
        store(executed(known[name], data), known[name])
        print(f"{name}: {known[name].stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

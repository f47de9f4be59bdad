"""``finewave report`` of a study: its tables, figures and cells as one HTML file that works offline."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from finewave.errors import InputError
from finewave.extras import importing
from finewave.metrics import METRICS
from finewave.studies.reports.tables import Value
from finewave.studies.results import all_results, cells_folder, read_result
from finewave.viz.report.encoding import encode_pictures
from finewave.viz.report.frame import check_extension, page, shown, table

FIGURE_BYTES = 8_000_000
"""Of all figures together."""
FIGURE_WIDTH = 2000
"""Most pixels."""
MOST_SAID = 4
"""Differences that are named."""
PARTS = ("cells", "trainings")
"""Folders created by `finewave study`; any of them identifies a study's folder."""


def is_study(path: Path) -> bool:
    """Return whether a path is a folder of results of ``finewave study``, not a scene.

    Raises
    ------
    InputError
        If it is a folder that is neither.
    """
    from finewave.io.open_save import open_scene

    if not path.is_dir():
        return False
    if any((path / part).is_dir() for part in PARTS):
        return True
    try:
        open_scene(path).close()
    except InputError as error:
        raise InputError(
            f"{path} is neither a folder of finewave study, which has a folder cells, nor a scene: {error}"
        ) from error
    return False


def write_study_report(folder: Path, path: str | Path, title: str = "") -> Path:
    """Write a report of a study's folder.

    Parameters
    ----------
    folder : path
        ``--out`` of ``finewave study``.
    path : path
        ``.html``.
    title : str
        Default the name of the folder.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If there are no cells, one of them is damaged, the path is not an HTML file, or markdown-it-py or Pillow is
        missing.
    """
    from finewave.io.atomic import atomic_output

    target = check_extension(path)
    cells = [read_result(file) for file in all_results(folder)]
    if not cells:
        raise InputError(f"{cells_folder(folder)} holds no cells, so there is nothing to report; run finewave study")
    tables, figures = _written_tables(folder), sorted((folder / "figures").glob("*.png"))
    body = "".join(_table(file, number) for number, file in enumerate(tables))
    if not tables:
        body = (
            "<p>No table lies in the folder; <code>finewave study NAME --no-train --out "
            f"{shown(str(folder))}</code> writes that of a study.</p>\n"
        )
    body += _figures(figures) + _cells(cells)
    counts = (_count(len(tables), "table"), _count(len(figures), "figure"), _count(len(cells), "cell"))
    text = page(title or folder.resolve().name, ", ".join(counts), body)
    with atomic_output(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return target


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _written_tables(folder: Path) -> list[Path]:
    """Return the Markdown files of a study, recognised by the same table as CSV beside them."""
    return sorted(file for file in folder.glob("*.md") if file.with_suffix(".csv").is_file())


def _table(file: Path, number: int) -> str:
    """Return a written table, with the protocol and the notes under it."""
    with importing("view", "the report of a study"):
        from markdown_it import MarkdownIt
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    html = parser.render(file.read_text(encoding="utf-8"))
    # the page already has a top-level heading
    html = re.sub(r"<(/?)h([1-4])>", lambda match: f"<{match[1]}h{int(match[2]) + 1}>", html)
    html = html.replace("<table>", '<div class="wide right" tabindex="0" role="region" aria-label="Table"><table>')
    html = re.sub(r"<th(?=[ >])", '<th scope="col"', html.replace("</table>", "</table></div>"))
    return f'<section id="table-{number}">\n{html}<p class="hint">From {shown(file.name)}</p>\n</section>\n'


def _figures(files: list[Path]) -> str:
    """Return the figures, at a width for screens."""
    if not files:
        return ""
    import imageio.v3 as iio
    import numpy as np
    from PIL import Image

    pictures = []
    for file in files:
        image = Image.fromarray(np.asarray(iio.imread(file))[..., :3])
        if image.width > FIGURE_WIDTH:
            image = image.resize((FIGURE_WIDTH, round(image.height * FIGURE_WIDTH / image.width)))
        pictures.append(np.asarray(image))
    html = "<h2>Figures</h2>\n"
    for file, address in zip(files, encode_pictures(pictures, FIGURE_BYTES), strict=True):
        caption = file.stem.replace("-", " ")
        alt = f"{caption}: scene and magnified part side by side for truth, input and each method; error maps; spectra"
        html += (
            f'<figure><img src="{address}" alt="{shown(alt)}">\n<figcaption>{shown(file.name)}, at most '
            f"{FIGURE_WIDTH} pixels wide here</figcaption></figure>\n"
        )
    return html


def _cells(cells: list[dict[str, Any]]) -> str:
    """Return every cell: settings, metrics, provenance; and the metrics of each image."""
    metrics = [name for name in METRICS if name in cells[0]["mean"]]
    heads = [f"{METRICS[name].label} {METRICS[name].arrow}" for name in metrics]
    rows, protocols, images = [], {}, ""
    apart = _differences([cell["facts"] for cell in cells])
    for cell, difference in zip(cells, apart, strict=True):
        facts = cell["facts"]
        protocol = facts["protocol"]
        protocols[protocol["name"]] = protocol
        commits = [commit for commit in dict.fromkeys(cell["commit"].values()) if commit]
        name = f"{facts['system']}, {facts['dataset']} x{facts['scale']}, {facts['split']}"
        name += f" ({difference})" if difference else ""
        columns = [name, protocol["name"], str(len(cell["images"]))]
        made = f"finewave {cell['finewave']}" + (
            f" ({', '.join(commit[:10] for commit in commits)})" if commits else ""
        )
        rows.append([*columns, *(Value(cell["mean"][metric]).text(metric) for metric in metrics), made, _digest(cell)])
        each = [[image, *(Value(values[m]).text(m) for m in metrics)] for image, values in cell["images"].items()]
        images += (
            f"<details><summary>{shown(name)}: {_count(len(each), 'image')}</summary>\n"
            f"{table(['image', *heads], each, numbers=range(1, len(metrics) + 1))}</details>\n"
        )
    header = ["cell", "protocol", "images", *heads, "made by", "digest"]
    caption = (
        "Every result that lies in the folder: means over images. The digest is that of all that decides about it."
    )
    html = f'<h2>Cells</h2>\n<div class="cells">{table(header, rows, caption, range(2, len(metrics) + 3))}</div>\n'
    return f"{html}<h3>Protocols</h3>\n{_protocols(protocols)}<h3>Image by image</h3>\n{images}"


def _differences(facts: list[dict[str, Any]]) -> list[str]:
    """Return each cell's differences from others of the same system, data set, scale, split and protocol."""

    def group(of: dict[str, Any]) -> tuple[Any, ...]:
        return of["system"], of["dataset"], of["scale"], of["split"], of["protocol"]["name"]

    flat = [_flat({key: of[key] for key in ("image", "post", "recipe", "options") if key in of}) for of in facts]
    words = []
    for of, own_facts in zip(facts, flat, strict=True):
        others = [other for other_facts, other in zip(facts, flat, strict=True) if group(other_facts) == group(of)]
        keys = [key for key in own_facts if any(key not in other or other[key] != own_facts[key] for other in others)]
        more = f" and {len(keys) - MOST_SAID} more" if len(keys) > MOST_SAID else ""
        words.append(", ".join(f"{key.removeprefix('recipe.')} {own_facts[key]}" for key in keys[:MOST_SAID]) + more)
    return words


def _flat(facts: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Return nested facts with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in facts.items():
        flat |= _flat(value, f"{before}{key}.") if isinstance(value, dict) else {f"{before}{key}": value}
    return flat


def _protocols(protocols: dict[str, dict[str, Any]]) -> str:
    items = ""
    for name, facts in sorted(protocols.items()):
        blur = ", ".join(f"{key} {value}" for key, value in facts["degradation"].items())
        where = "whole scenes" if facts["crop"] is None else f"non-overlapping {facts['crop']} × {facts['crop']} crops"
        text = f"{name}: LR images by {blur}; metrics on {where}, convention {facts['convention']}."
        items += f"<li>{shown(text)}</li>"
    return f"<ul>{items}</ul>\n"


def _digest(cell: dict[str, Any]) -> str:
    from finewave.studies.experiment import key_of

    return key_of(cell["facts"]).rpartition("-")[2]

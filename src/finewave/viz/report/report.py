"""``finewave report`` of a scene: one HTML file that works offline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finewave.io.file_errors import reading
from finewave.physics.rendering.renderings import wavelengths_of
from finewave.viz.report.frame import check_extension, page, shown, table
from finewave.viz.report.scene_data import METRIC_SAMPLES, ReportData, ReportLayer, gather
from finewave.viz.scene_pair import half_widths_beside, open_scene_pair

if TYPE_CHECKING:
    from finewave.viz.scene_pair import ScenePair

LARGEST = 12_000_000
"""Maximum size of a report in bytes, for any scene."""


def write_report(
    result: str | Path,
    path: str | Path,
    *,
    observed: str | Path | None = None,
    reference: str | Path | None = None,
    rgb: Sequence[float] | None = None,
    convention: str = "finewave",
    title: str = "",
) -> Path:
    """Write a report of a scene.

    The page has composites by wavelength, a slider through the bands, a swipe between input, result and reference,
    spectra at points, maps of error and spectral angle, and the metrics. Scenes of any size are read strip by strip;
    the page has at most `LARGEST` bytes, if necessary by lower resolution, which the page states.

    Parameters
    ----------
    result : path
        A scene.
    path : path
        ``.html``.
    observed, reference : path, optional
        Input of the model; the ground truth.
    rgb : three float, optional
        Wavelengths in nm of the first composite, or band numbers from 1 without wavelengths; default as
        `finewave.to_rgb`.
    convention : str
        Of the metrics, see `finewave.metrics.conventions`.
    title : str
        Default the name of the result.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If a file cannot be read, sizes or bands do not fit, the path is not an HTML file, or Pillow or matplotlib is
        missing.
    """
    from finewave.io.atomic import atomic_output
    from finewave.io.path_checks import keep_inputs
    from finewave.metrics import get_convention

    target = check_extension(path)
    keep_inputs([each for each in (result, observed, reference) if each is not None], [target])
    get_convention(convention)
    scenes = open_scene_pair(result, observed, reference, half_width=half_widths_beside(Path(result)))
    with atomic_output(target) as temporary:
        with reading(result, "scene"):
            data = gather(scenes, rgb=rgb, convention=convention)
        names = {"result": str(result), "input": str(observed), "reference": str(reference)}
        text = page(title or Path(result).name, _subtitle(scenes), _body(data, scenes, names, convention), data.data)
        temporary.write_text(text, encoding="utf-8")
    return target


def _subtitle(scenes: ScenePair) -> str:
    rows, columns = scenes.size
    wavelengths = wavelengths_of(scenes.result.scene)
    bands = f"{scenes.result.scene.sizes['band']} bands"
    if wavelengths is not None:
        bands += f", {wavelengths.min():.4g} to {wavelengths.max():.4g} nm"
    scale = f", scale {scenes.scale}" if scenes.scale is not None and scenes.scale > 1 else ""
    return f"{columns} × {rows} pixels, {bands}{scale}"


def _body(data: ReportData, scenes: ScenePair, names: dict[str, str], convention: str) -> str:
    maps = "" if scenes.reference is None else _BAR
    unit = "" if data.data["layers"][0]["wavelengths"] is None else ", nm"
    return (
        _LOOK.format(bar=maps, unit=unit)
        + _SPECTRA.format(legend=_legend(data), means=_means(data))
        + _metrics(data, scenes, convention)
        + _images(data.layers, names)
        + _how(data, scenes)
    )


def _legend(data: ReportData) -> str:
    """Return the legend of the lines, in the order of the layers."""
    swatches = {
        "result": '<line x1="0" x2="32" y1="6" y2="6" stroke="var(--result)" stroke-width="2"{dashes}/>',
        "reference": '<line x1="0" x2="32" y1="6" y2="6" stroke="var(--reference)" stroke-width="3"/>',
        "input": '<path d="M16 1l5 5l-5 5l-5 -5z" stroke="var(--input)" fill="none" stroke-width="1.6"/>',
    }
    dashes = ' stroke-dasharray="6 3"' if len(data.data["maps"]) else ""
    with_nm = data.data["layers"][0]["wavelengths"] is not None
    items = ""
    for layer in data.data["layers"]:
        if with_nm and layer["wavelengths"] is None:
            continue
        picture = swatches[layer["role"]].format(dashes=dashes)
        items += f'<li><svg viewBox="0 0 32 12" aria-hidden="true">{picture}</svg>{layer["role"]}</li>'
    if "half_widths" in data.data:
        items += f'<li><svg viewBox="0 0 32 12" aria-hidden="true">{_SHADE}</svg>half-widths around points</li>'
    return f'<ul class="legend" aria-label="Legend">{items}</ul>'


def _means(data: ReportData) -> str:
    """Return a description of the area that a spectrum averages."""
    step = data.spectra_step
    if step == 1:
        return "A point has the spectrum of one pixel of the result, a region the mean of its pixels and their spread."
    return (
        f"A point has the mean spectrum of the block of {step} × {step} pixels of the result that holds it, a region "
        "the mean of the blocks that meet it and their spread."
    )


def _metrics(data: ReportData, scenes: ScenePair, convention: str) -> str:
    """Return the table of metrics with explanations, or why there is none."""
    from finewave.metrics import METRICS, get_convention

    if scenes.reference is None:
        return ""
    if data.scores is None:
        return (
            "<h2>Metrics</h2>\n<p>Left out: the scene has more than "
            f"{METRIC_SAMPLES / 1e6:.0f} million values, which would have to be in memory at once. "
            "<code>finewave.metrics.evaluate</code> takes it in parts.</p>\n"
        )
    rows = [
        (metric.label, metric.text(data.scores[name]), ", ".join(filter(None, (metric.unit, metric.direction))))
        for name, metric in METRICS.items()
        if name in data.scores
    ]
    scale = scenes.scale
    ratio = f"ERGAS with ratio {scale}" if "ergas" in data.scores else "ERGAS only with ratio 4: the scale is not known"
    note = f"Result against reference, whole scene at full resolution, peak 1, {ratio}; RMSE in the scene's unit. "
    note += f"Convention {convention}: {get_convention(convention).description}."
    return f"<h2>Metrics</h2>\n{table(('metric', 'value', ''), rows, note, (1,))}"


def _images(layers: list[ReportLayer], names: dict[str, str]) -> str:
    """Return facts about each image."""
    header = ("image", "file", "pixels", "bands", "values", "missing pixels", "more")
    rows = []
    for layer in layers:
        scene = layer.scene
        wavelengths = wavelengths_of(scene)
        where = "" if wavelengths is None else f", {wavelengths.min():.4g} to {wavelengths.max():.4g} nm"
        values = "none" if layer.low > layer.high else f"{layer.low:.4g} to {layer.high:.4g}"
        pixels = f"{scene.sizes['x']} × {scene.sizes['y']}"
        bands = f"{scene.sizes['band']}{where}"
        rows.append((layer.role, names[layer.role], pixels, bands, values, str(layer.missing), _more(scene)))
    return f"<h2>Images</h2>\n{table(header, rows)}"


def _more(scene: Any) -> str:
    """Return model, sensor and georeference of a scene."""
    from finewave.scene import scene_crs, scene_transform

    lines = []
    if scene.attrs.get("model"):
        lines.append(f"model {scene.attrs['model']}")
    if scene.attrs.get("sensor"):
        lines.append(f"sensor {scene.attrs['sensor']}")
    crs, transform = scene_crs(scene), scene_transform(scene)
    if crs is not None:
        lines.append(crs.to_string() if crs.to_epsg() else "own CRS")
    if transform is not None:
        lines.append(f"pixels of {abs(transform.a):.6g}")
    return ", ".join(lines)


def _how(data: ReportData, scenes: ScenePair) -> str:
    """Return how values were processed for display."""

    def blocks(step: int) -> str:
        return "at full resolution" if step == 1 else f"means over {step} × {step} pixels"

    largest = max(layer["spectra"]["high"] - layer["spectra"]["low"] for layer in data.data["layers"])
    notes = [
        f"Composites and maps: {blocks(data.picture_step)}. Single bands: {blocks(data.band_step)}. They "
        "are for looking, compressed with loss; numbers come from the spectra, which are not.",
        f"Spectra: {blocks(data.spectra_step)}, in steps of 1/65534 of the range (at most {largest / 65534:.2g}).",
        "True colour: 0 is black and 1 is white, unless the scene is dark or has other units. Other composites: from "
        "0 (black) to the value below which 99.5 % lie (white), the same for all images and colours, then the sRGB "
        "curve. Single bands: the same, each with a white of its own, which is given.",
        "Points are given as x (column) and y (row) from 0 in pixels of the result.",
    ]
    if scenes.input is not None:
        step = data.data["layers"][-1]["step"]
        notes.insert(
            2, f"Input: spectra {blocks(step)} of the input. A band of the result shows the input's nearest one."
        )
    if scenes.half_width is not None:
        what = scenes.half_width.scene.attrs.get("quantity", "of the errors")
        notes.append(
            f"Half-widths ({what}): drawn around the result at points, in the saved table everywhere; of blocks and "
            "regions the mean of their pixels'."
        )
    if scenes.reference is not None:
        notes.append(
            "Error map: root mean square over bands (and pixels of a block). Angle map: spectral angle, mean over a "
            "block. Colours end at the value below which 99 % lie; grey has no data."
        )
    return "<h2>What is shown</h2>\n<ul>" + "".join(f"<li>{shown(note)}</li>" for note in notes) + "</ul>\n"


_SHADE = '<rect x="0" y="1" width="32" height="10" fill="var(--result)" opacity="0.18"/>'
_BAR = """<div class="bar" id="bar" hidden><span id="bar-name"></span><span>0</span>
<span class="shades" id="shades" role="img" aria-label="Colour scale from dark (0) to bright"></span>
<span id="bar-high"></span></div>
"""
_LOOK = """<noscript><p><strong>The pictures need JavaScript; tables and notes below do not.</strong></p></noscript>
<p id="failed" role="alert" hidden>This browser is too old for the pictures or the file is damaged; the tables below are
complete. Any browser since 2023 will do.</p>
<div class="look">
<section aria-label="Pictures">
<div class="names"><span id="left-name"></span><span id="right-name"></span></div>
<div class="frame" id="frame"><div class="stage" id="stage"><canvas id="picture" tabindex="0" role="img"
aria-describedby="keys"></canvas><svg id="marks" aria-hidden="true"></svg></div></div>
{bar}<p class="hint" id="keys">Click for spectra, drag to swipe, drag with Shift for the mean and spread of a
region. With the keyboard: arrows move a cross (with Shift ten times as far), Enter marks a point, r one corner of a
region and Enter the other.</p>
<p class="visually-hidden" id="told" role="status"></p>
</section>
<form class="controls" aria-label="What is shown" autocomplete="off" onsubmit="return false">
<label for="show">Show</label><select id="show"></select>
<div id="own" hidden><div class="trio">
<div><label for="red">Red{unit}</label><select id="red"></select></div>
<div><label for="green">Green{unit}</label><select id="green"></select></div>
<div><label for="blue">Blue{unit}</label><select id="blue"></select></div></div></div>
<label for="band">Band <output id="band-name"></output></label>
<input type="range" id="band" min="0" step="1">
<div class="pair">
<div><label for="left">Left</label><select id="left"></select></div>
<div><label for="right">Right</label><select id="right"></select></div></div>
<label for="swipe">Swipe <output id="swipe-name"></output></label>
<input type="range" id="swipe" min="0" max="100" step="0.1">
<label for="zoom">Zoom <output id="zoom-name"></output></label>
<input type="range" id="zoom" min="1" max="8" step="0.5">
<label for="bright">Brightness <output id="bright-name"></output></label>
<input type="range" id="bright" min="0.25" max="4" step="0.25">
<p class="hint">The address of the page says what is shown: keep it to come back to this view.</p>
</form>
</div>
"""
_SPECTRA = """<section aria-labelledby="spectra-title">
<h2 id="spectra-title">Spectra</h2>
<p>{means}</p>
{legend}
<p><button type="button" id="clear">Remove all points</button> <button type="button" id="save">Save as CSV</button></p>
<p id="no-points" hidden>No point is marked: click in the picture.</p>
<div class="plots" id="plots"></div>
</section>
"""

"""README of a set of weights, generated from its card, with the metadata that model hubs index.

The format is that of model cards on the Hugging Face Hub: Markdown after a block of YAML. The page is always generated
from ``card.json`` and never read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from finewave.metrics import METRICS
from finewave.text.plain_text import as_code, as_markdown, one_line
from finewave.zoo.card import Card

README = "README.md"
PIPELINE = "image-to-image"
"""The Hub's name for image-to-image networks."""

_TASKS = {
    "sssr": "joint spatio-spectral super-resolution",
    "sr": "spatial super-resolution of hyperspectral images",
    "ssr": "spectral super-resolution",
    "fusion": "fusion of hyperspectral and multispectral images",
    "refsr": "hyperspectral super-resolution with an unaligned RGB reference",
}
# licences known to the Hub; others are "other" with a name
_KNOWN_LICENCE = re.compile(
    r"apache-2\.0|mit|bsd(-[23]-clause)?|cc0-1\.0|cc-by(-nc)?(-sa|-nd)?-[234]\.0|[al]?gpl-[23]\.[01]"
)
_SHOWN = ("psnr", "ssim", "sam", "ergas")


def readme_of(card: Card, repository: str | None = None) -> str:
    """Return the page of a card.

    Parameters
    ----------
    card : Card
    repository : str, optional
        ``"owner/name"`` on the Hub, from where the page's example then loads the weights.
    """
    front = yaml.safe_dump(_metadata(card), sort_keys=False, allow_unicode=True, width=120)
    return f"---\n{front}---\n\n" + "\n\n".join(_sections(card, repository)) + "\n"


def _metadata(card: Card) -> dict[str, Any]:
    """Return the block of YAML, used by the Hub for search."""
    licence = (card.licence or "").lower()
    known = bool(_KNOWN_LICENCE.fullmatch(licence))
    facts: dict[str, Any] = {
        "library_name": "finewave",
        "pipeline_tag": PIPELINE,
        "license": (licence if known else "other") if card.licence else None,
        "license_name": licence if licence and not known else None,
        "tags": ["finewave", "hyperspectral", "super-resolution", card.system, card.task, f"x{card.scale}"],
        "datasets": [str(name)] if (name := (card.data or {}).get("dataset")) else None,
        "metrics": sorted({metric for _, figures in _figures(card) for metric in figures}) or None,
        "model-index": _index(card),
    }
    return {key: value for key, value in facts.items() if value is not None}


def _index(card: Card) -> list[dict[str, Any]] | None:
    """Return the figures as the Hub's model index has them; None without figures."""
    results = []
    for protocol, figures in _figures(card):
        dataset, _, split = protocol.partition("/")
        results.append(
            {
                "task": {"type": PIPELINE, "name": _TASKS[card.task]},
                "dataset": {"type": dataset, "name": dataset, **({"split": split} if split else {})},
                "metrics": [{"type": key, "name": key, "value": value} for key, value in figures.items()],
            }
        )
    return [{"name": card.name, "results": results}] if results else None


def _figures(card: Card) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield data set with split, and mean figures, of each protocol in the card."""
    for protocol, scores in (card.metrics or {}).items():
        mean = scores.get("mean") if isinstance(scores, dict) else None
        figures = {key: value for key, value in (mean or {}).items() if isinstance(value, int | float)}
        if figures:
            yield protocol, figures


def _sections(card: Card, repository: str | None) -> Iterator[str]:
    yield f"# {as_markdown(card.name)}"
    inputs = " and ".join(f"`{name}`" for name in card.inputs)
    yield (
        f"Weights of `{as_code(card.system)}` for {_TASKS[card.task]}: {inputs} to `{card.output}`, "
        f"scale {card.scale}, {card.parameters:,} parameters. Written by finewave from `card.json`, "
        "which is what programs read; this page is for people."
    )
    which = f"hf:{repository}" if repository else card.name
    quoted = json.dumps(one_line(which), ensure_ascii=False)
    yield f"```python\nimport finewave as fw\n\nmodel = fw.load_model({quoted})\n```"
    yield "\n".join(("| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in _facts(card))))
    rows = [
        [as_markdown(protocol), *(f"{figures[key]:.4g}" if key in figures else "" for key in _SHOWN)]
        for protocol, figures in _figures(card)
    ]
    if rows:
        lines = (["", *(METRICS[key].heading for key in _SHOWN)], ["---"] * (1 + len(_SHOWN)), *rows)
        yield "\n".join(f"| {' | '.join(line)} |" for line in lines)
    if card.notes:
        yield "\n\n".join(as_markdown(each) for each in re.split(r"\n\s*\n", card.notes))


def _facts(card: Card) -> Iterator[tuple[str, str]]:
    """Yield the facts needed to prepare inputs for the network."""
    if card.ms_bands or card.ms_wavelengths_nm:
        centres = [f"{nm:g} nm" for nm in card.ms_wavelengths_nm or ()]
        names = card.ms_bands or [""] * len(centres)
        centres = centres or [""] * len(names)
        bands = (" ".join(filter(None, pair)) for pair in zip(names, centres, strict=False))
        yield "multispectral bands", as_markdown(", ".join(bands))
    if card.sensor:
        yield "sensor", f"`{as_code(card.sensor)}`"
    if card.wavelengths_nm:
        first, last = card.wavelengths_nm[0], card.wavelengths_nm[-1]
        yield "bands of the output", f"{len(card.wavelengths_nm)}, {first:g} to {last:g} nm"
    yield "values", f"{card.value_range[0]:g} to {card.value_range[1]:g}"
    if card.degradation:
        scores = ", ".join(f"{key} {value}" for key, value in card.degradation.items())
        yield "degradation in training", as_markdown(scores)
    if card.data and card.data.get("dataset"):
        scores = "; ".join(str(card.data[key]) for key in ("dataset", "citation") if card.data.get(key))
        yield "trained on", as_markdown(scores)
    if card.licence:
        yield "licence", as_markdown(card.licence)
    if card.trained:
        yield "trained", as_markdown(card.trained)
    if card.commit:
        yield "source revision", f"`{as_code(card.commit)}`"
    yield "sha256 of the weights", f"`{as_code(str(card.sha256))}`"

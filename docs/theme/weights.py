"""Tables of the weights that ship, in the pages of their tasks, from their cards: ``python docs/theme/weights.py``.

`tests/test_docs.py` compares: new weights need no edit by hand.
"""

from __future__ import annotations

import re
from pathlib import Path

from finewave.types import TASKS
from finewave.zoo.card import Card
from finewave.zoo.distribution.bundled_weights import CARD, weight_folders

ROOT = Path(__file__).parents[2]
HEADING = "## Trained weights"
_SECTION = re.compile(rf"{HEADING}\n.*?(?=\n## )", re.DOTALL)
_PAGES = {"mst++": "mstpp", "ensemble-ssr": "scene-ridge"}


def page_of(task: str) -> Path:
    """Return the page of a task."""
    return ROOT / "docs" / "tasks" / f"{task}.md"


def section(task: str) -> str:
    """Return the section of a task's page: one row for each of its weights, the best first."""
    cards = [Card.read(folder / CARD) for name, folder in weight_folders().items() if _ships(folder)]
    rows = sorted((_row(card) for card in cards if card.task == task), key=_rank)
    lines = [
        "| weights | data set | scale | input | bands | PSNR, SAM | floor |",
        "|---|---|---|---|---|---|---|",
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
    text = (
        "Scores are those of the cards, on validation scenes of the data set; the floor is the best\n"
        "[baseline](../baselines.md) there."
    )
    return "\n".join([HEADING, "", *lines, "", text, ""])


def updated(text: str, task: str) -> str:
    """Return the text of a task's page with its section."""
    if not _SECTION.search(text):
        return text.replace("## From file to file\n", f"{section(task)}\n## From file to file\n", 1)
    return _SECTION.sub(lambda _: section(task), text, count=1)


def _rank(row: list[str]) -> tuple[str, str, float]:
    """Order by data set, scale and PSNR."""
    return row[1], row[2], -float(row[5].split()[0])


def _ships(folder: Path) -> bool:
    return folder.parent == ROOT / "weights"


def _row(card: Card) -> list[str]:
    (place, scores), *_ = (card.metrics or {}).items()
    mean, floor = scores["mean"], scores["baseline"]["mean"]
    system = card.config["sr"] if card.system == "sr-ssr" else card.system
    page = _PAGES.get(system, system)
    nm = card.wavelengths_nm or []
    count = len(nm)
    sensor = "" if card.sensor is None or card.task == "sr" else f"`{card.sensor.partition(':')[0]}`"
    bands = card.sensor.partition(":")[2] if sensor and card.sensor else ""
    return [
        f"[`{card.name}`](../models/{page}.md)",
        place.partition("/")[0],
        str(card.scale),
        f"{sensor}: {bands.replace(',', ', ')}" if bands else sensor or "the same bands",
        f"{count}, {min(nm):.0f} to {max(nm):.0f} nm" if count else "any",
        f"{mean['psnr']:.2f} dB, {mean['sam']:.2f}°",
        f"{floor['psnr']:.2f} dB, {floor['sam']:.2f}°",
    ]


def main() -> None:
    """Write the sections."""
    for task in TASKS:
        page = page_of(task)
        page.write_text(updated(page.read_text(encoding="utf-8"), task), encoding="utf-8")


if __name__ == "__main__":
    main()

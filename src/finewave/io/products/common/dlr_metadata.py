"""The METADATA.XML of DLR's EnMAP and DESIS products."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finewave.acquisition import utc
from finewave.errors import InputError
from finewave.io.file_errors import reading


@dataclass(frozen=True)
class Band:
    """One band: centre and width in nm, gain and offset to the physical quantity (1 and 0 if not stated)."""

    number: int
    centre: float
    width: float
    gain: float
    offset: float


def read_xml(path: Path) -> Any:
    """Return the root of the XML, without namespaces in its tags."""
    with reading(path, "metadata (XML)"):
        root = ET.fromstring(path.read_bytes())
        for each in root.iter():
            each.tag = str(each.tag).rpartition("}")[2]
    return root


def bands_of(root: Any, path: Path) -> list[Band]:
    """Return the bands in ``bandCharacterisation``, in the order of their numbers."""
    bands = []
    with reading(path, "metadata (XML)"):
        for holder in root.iter("bandCharacterisation"):
            for position, each in enumerate([*holder.iter("bandID"), *holder.iter("band")], start=1):
                fields = {child.tag.lower(): child.text for child in each}
                if "wavelengthcenterofband" not in fields:
                    continue
                number = each.get("number") or fields.get("bandnumber") or position
                bands.append(
                    Band(
                        int(number),
                        float(fields["wavelengthcenterofband"]),
                        float(fields.get("fwhmofband") or fields.get("wavelengthwidthofband") or "nan"),
                        float(fields.get("gainofband") or 1.0),
                        float(fields.get("offsetofband") or 0.0),
                    )
                )
    if not bands:
        raise InputError(f"{path} lists no bands (bandCharacterisation); is it the product's own METADATA.XML?")
    return sorted(bands, key=lambda band: band.number)


def start_of(root: Any) -> str | None:
    """Return when the acquisition began, None if the metadata do not say it."""
    texts = [each.text for holder in root.iter("temporalCoverage") for each in holder.iter("startTime")]
    return next((found for text in texts if (found := utc(text))), None)


def metadata_beside(image: Path, pattern: str) -> Path:
    """Return the METADATA.XML beside an image."""
    paths = [each for each in image.parent.iterdir() if each.name.lower() == pattern.lower()]
    if not paths:
        raise InputError(f"{image} lacks its metadata, {pattern}, beside it; put it there to have wavelengths")
    return paths[0]

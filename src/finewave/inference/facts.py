"""The facts about a scene as a dict that prints and shows itself in a few lines."""

from __future__ import annotations

from html import escape
from typing import Any

from finewave.text.plain_text import one_line


class SceneInfo(dict[str, Any]):
    """What `finewave.info` returns: a dict in every way, but ``print`` and notebooks show a summary of it."""

    def summary(self) -> dict[str, str]:
        """Return what most users want to know, by headings; what is unknown is left out."""
        rows = {
            "File": self.get("path"),
            "Size": f"{self['columns']} × {self['rows']} pixels, {self['bands']} band{'s' * (self['bands'] != 1)}",
            "Wavelengths": _range(self["wavelengths_nm"]),
            "Values": ", ".join(filter(None, [self["dtype"], self["quantity"]])),
            "Sensor": self["sensor"],
            "Product": self["product"],
            "Acquired": self["datetime"],
            "Place": self._place(),
            "Made by": self["model"],
            "Models that fit": ", ".join(each["name"] for each in self.get("models", []) if each["fits"]),
            "Notes": " · ".join(self.get("warnings", [])),
        }
        return {name: one_line(str(text)) for name, text in rows.items() if text}

    def _place(self) -> str:
        if self["bounds"] is None:
            return ""
        crs = str(self["crs"] or "no CRS")
        name = crs if crs.startswith("EPSG:") or self["crs"] is None else crs.partition('"')[2].partition('"')[0]
        left, bottom, right, top = (f"{each:.9g}" for each in self["bounds"])
        return f"{name}, pixels of {self['pixel_size']:.6g}, x {left} to {right}, y {bottom} to {top}"

    def __str__(self) -> str:
        rows = self.summary()
        width = max(map(len, rows))
        return "\n".join(f"{name:<{width}}  {text}" for name, text in rows.items())

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Let IPython print the summary: it would list a dict, a line for each wavelength."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        """Return the summary as a table for notebooks; what files say is escaped."""
        rows = "".join(
            f'<tr><th style="text-align:left">{escape(name)}</th><td style="text-align:left">{escape(text)}</td></tr>'
            for name, text in self.summary().items()
        )
        return f"<table>{rows}</table>"


def _range(wavelengths: list[float] | None) -> str:
    if not wavelengths:
        return ""
    low, high = min(wavelengths), max(wavelengths)
    return f"{low:g} nm" if low == high else f"{low:g} to {high:g} nm"

"""State shared by the controls of the page and the server."""

from __future__ import annotations

from bokeh.core.properties import Bool, Float, Int, String
from bokeh.model import DataModel


class Settings(DataModel):
    """Synchronised by Bokeh between browser and server; see `finewave.viz.server.state.State` for the first fields."""

    left = String()
    right = String()
    swipe = Float()
    mode = String()
    red = Float()
    green = Float()
    blue = Float()
    band = Float()
    stretch = String()
    map = String()
    theme = String()

    dark = Bool(default=False, help="Whether the browser shows the dark theme, by choice or by its system.")
    fit = Int(default=0, help="Counts how often the whole image was asked for.")
    query = String(default="", help="Of the address that makes this view again.")
    picked = String(default="", help="Description of the selection.")
    scores = String(default="", help="The metric table, JSON: rows of texts.")
    map_note = String(default="computing …", help="What the map is made of.")
    resolution = String(default="", help="What a pixel of the screen is.")
    loading = String(default="", help="What is waited for before there is a picture.")
    pins = String(default="[]", help="Pinned places, JSON.")
    library = String(default="[]", help="Listed spectra of the library, JSON.")
    command = String(default="", help="What the user has asked for last, JSON.")
    download = String(default="", help="The file to save, JSON: its key.")
    trouble = String(default="", help="What went wrong last.")

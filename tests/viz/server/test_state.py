from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finewave.viz.scene_pair import ScenePair, open_scene_pair
from finewave.viz.server.spectral_plot.pins import Pin
from finewave.viz.server.spectral_plot.spectra import RegionOfInterest
from finewave.viz.server.state import state_from_query, usual_state
from tests.viz.views import opened, write_view


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> ScenePair:
    return opened(tmp_path_factory.mktemp("view"))


def test_a_link_says_everything(view: ScenePair) -> None:
    state = replace(
        usual_state(view),
        left="reference",
        right="input",
        swipe=0.25,
        mode="three",
        red=670.0,
        green=430.0,
        blue=550.0,
        band=590.0,
        stretch="each",
        map="angle",
        at=(12.5, 40.25, 30.0),
        pick=RegionOfInterest(3, 9, 4, 5),
        theme="dark",
        pins=(Pin(RegionOfInterest(1, 2, 3, 4), 0, "A"), Pin(RegionOfInterest(0, 9, 0, 5), 3, "soil, wet; 50 % & <b>")),
    )
    assert state_from_query(dict(parse_qsl(state.to_query())), view) == state


def test_without_a_query_it_is_the_usual_view(view: ScenePair) -> None:
    state = state_from_query({}, view)
    assert state == usual_state(view)
    assert (state.left, state.right, state.mode, state.map) == ("input", "result", "true", "error")


def test_what_a_view_does_not_have_is_left_out(tmp_path: Path) -> None:
    alone = open_scene_pair(write_view(tmp_path)["result"])
    state = state_from_query({"left": "reference", "map": "angle", "pick": "900,0,901,1"}, alone)
    assert (state.left, state.map, state.pick) == ("result", "band", None)


NAMES = ("left", "right", "swipe", "mode", "rgb", "band", "stretch", "map", "at", "pick", "theme", "pins")
NONSENSE = st.one_of(st.text(max_size=12), st.lists(st.floats(), max_size=5).map(lambda n: ",".join(map(str, n))))


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(st.sampled_from(NAMES), NONSENSE))
def test_no_query_breaks_a_page(view: ScenePair, query: dict[str, str]) -> None:
    state = state_from_query(query, view)
    assert state.left in view.layers
    again = state_from_query(dict(parse_qsl(state.to_query())), view)
    assert (again.pick, again.pins) == (state.pick, state.pins)

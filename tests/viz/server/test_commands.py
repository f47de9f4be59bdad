from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finewave.viz.server.commands import COMMANDS, Command, command_of


def test_commands_of_the_page() -> None:
    assert command_of('{"do": "label", "number": 3, "text": "soil", "count": 1}') == Command("label", 3, "soil")
    assert command_of('{"do": "draw", "number": 0, "on": true}') == Command("draw", 0, is_on=True)
    assert command_of('{"do": "pick", "at": [3.5, 7]}') == Command("pick", at=(3.5, 7.0))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"do": "quit"}',
        '{"do": ["pin"]}',
        '{"do": "unpin", "number": true}',
        '{"do": "unpin", "number": 1e400}',
        '{"do": "pick", "at": [NaN, 1]}',
        '{"do": "pick", "at": [1e400, 1]}',
        '{"do": "pick", "at": "12"}',
        '{"do": "pick", "at": [1]}',
        '{"do": "label", "text": 3}',
        "[" * 1900,
        json.dumps({"do": "label", "text": "x" * 3000}),
    ],
)
def test_anything_else_is_ignored(text: str) -> None:
    assert command_of(text) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9), st.lists, max_leaves=4
)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.dictionaries(st.sampled_from(["do", "number", "text", "on", "at"]), st.sampled_from(COMMANDS) | VALUES))
def test_no_message_makes_the_server_stumble(said: dict[str, object]) -> None:
    command = command_of(json.dumps(said))
    assert command is None or command.do in COMMANDS

from __future__ import annotations

import re

import pytest

from finewave.errors import InputError
from finewave.systems.option_checks import at_least, one_of, require
from finewave.systems.registry import create_model


def test_an_option_is_refused_by_its_name() -> None:
    at_least("net", 1, bands=1, features=8)
    one_of("net", ("a", "b"), start="b")
    require("net", True, "anything", blocks=None)
    for message, call in (
        ("net: features=0 is out of range; it must be >= 1", lambda: at_least("net", 1, bands=3, features=0)),
        ("net: start='c' is out of range; it must be 'a' or 'b'", lambda: one_of("net", ("a", "b"), start="c")),
        ("net: patch=4 is out of range; it must be odd", lambda: require("net", False, "odd", patch=4)),
    ):
        with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
            call()


@pytest.mark.parametrize(
    ("system", "option", "accepted"),
    [
        (
            "jssunet",
            {"features": 7, "reduction": 2},
            "features=7 is out of range; it must be a multiple of reduction=2",
        ),
        ("sspsr", {"overlap": 9}, "overlap=9 is out of range; it must be at least 0 and below group_size=8"),
        ("us3rn", {"stages": 2}, "stages=2 is out of range; it must be >= 3"),
        ("fusformer", {"patch": 0}, "patch=0 is out of range; it must be >= 1 or None"),
        ("gdrrn", {"groups": 5}, "features=128 is out of range; it must be a multiple of groups=5"),
        ("ssc-hsr", {"rgb_bands": [0, 1, 99]}, "it must be three numbers from 0 to 30"),
        ("mulsr", {"features": 12}, "features=12 is out of range; it must be a multiple of 8"),
        ("knn", {"neighbours": 0}, "knn: neighbours=0 is out of range"),
    ],
)
def test_of_systems(system: str, option: dict[str, object], accepted: str) -> None:
    with pytest.raises(ValueError, match=re.escape(accepted)):
        create_model(system, **option)

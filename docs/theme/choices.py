"""What the API pages show for parameters that take one of some values.

numpydoc has the default stand first in the braces; here the values have the order of their meaning, and the signature
says the default.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_CHOICES = re.compile(r"^(?P<names>[ \t]*[\w, ]+ : )\{(?P<values>[^}\n]+)\}", re.MULTILINE)


class Choices(griffe.Extension):
    """Write the values without braces, which stand for a default."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """Change the docstring of a function."""
        _without_braces(func)

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Change the docstring of a class."""
        _without_braces(cls)


def _without_braces(thing: griffe.Object) -> None:
    if thing.docstring is not None:
        thing.docstring.value = _CHOICES.sub(r"\g<names>one of \g<values>", thing.docstring.value)

"""Location of trained weights, without loading PyTorch.

A folder ``<name>/`` with `WEIGHTS` and `CARD` is one set of trained weights. finewave's own are in ``weights/`` of the
repository. An installation has only the cards, in ``finewave/_weights``; the weights are read from the folder named by
``FINEWAVE_WEIGHTS``, or downloaded, see `fetch_weights`.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import json
import os
from collections.abc import Iterator
from pathlib import Path

from finewave import __version__
from finewave.errors import InputError
from finewave.io.atomic import atomic_output
from finewave.locations import cache_folder, checkout

WEIGHTS = "model.safetensors"
CARD = "card.json"

FOLDER_VARIABLE = "FINEWAVE_WEIGHTS"
ADDRESS_VARIABLE = "FINEWAVE_WEIGHTS_URL"
RELEASE_ADDRESS: str | None = None
"""Where the weights of this release lie, each as ``<address>/<name>.safetensors``; a release fills it in."""
TIMEOUT_SECONDS = 60


def weight_folders() -> dict[str, Path]:
    """Return the folder of every set of weights that can be loaded by name: of its card, and of its weights if here.

    Of weights with the same name the first are used, in the order ``FINEWAVE_WEIGHTS``, checkout, downloads. Where
    there is an address to fetch from, weights count that are still to be fetched.
    """
    folders = _known() if _address() else {}
    for root in _roots():
        folders.update(_complete(root))
    return dict(sorted(folders.items()))


def missing_weights() -> list[str]:
    """Return the names of finewave's weights that are neither on this machine nor downloadable."""
    return sorted(_known().keys() - weight_folders().keys())


def folder_with_weights(name: str) -> Path | None:
    """Return the folder with weights and card of this name, downloaded if necessary; None for an unknown name.

    Raises
    ------
    InputError
        If the name is known but its weights are missing; the message says how to get them.
    """
    folder = weight_folders().get(name)
    if folder is not None and (folder / WEIGHTS).is_file():
        return folder
    card = _known().get(name)
    return None if card is None else fetch_weights(name, card / CARD)


def how_to_get_them() -> str:
    """Return advice about missing weights."""
    folder = os.environ.get(FOLDER_VARIABLE)
    there = f" (it is {folder})" if folder else ""
    return (
        f"clone the repository, which has them in weights/, and set {FOLDER_VARIABLE} to that folder{there} or install "
        "the clone by pip install -e"
    )


def fetch_weights(name: str, card: Path) -> Path:
    """Return the folder in the user's cache with the weights of a card, fetched once.

    The address is ``FINEWAVE_WEIGHTS_URL`` or, without it, that of the release.

    Raises
    ------
    InputError
        If there is no address, it does not answer, or the file does not match the card.
    """
    import http.client
    import urllib.request  # used by shell completion, so no network access

    address = _address()
    if not address:
        raise InputError(f"the weights of {name!r} are not on this machine: {how_to_get_them()}")
    if (cache := _cache()) is None:
        raise InputError(
            f"there is no home folder to keep the weights of {name!r} in; set HOME, or {FOLDER_VARIABLE} to a folder "
            f"with {name}/{WEIGHTS}"
        )
    url = f"{address.rstrip('/')}/{name}.safetensors"
    expected = json.loads(card.read_text(encoding="utf-8"))["sha256"]
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:
            content = answer.read()
    except (OSError, ValueError, http.client.HTTPException) as error:  # not an address; an answer that breaks off
        raise InputError(
            f"the weights of {name!r} cannot be fetched from {url}: {error}; or set {FOLDER_VARIABLE} to a folder "
            f"with {name}/{WEIGHTS}"
        ) from error
    actual = hashlib.sha256(content).hexdigest()
    if actual != expected:
        raise InputError(
            f"{url} has other weights than this version of finewave expects: sha256 {actual[:12]}..., the card says "
            f"{expected[:12]}..."
        )
    cache.mkdir(parents=True, exist_ok=True)
    with atomic_output(cache / name) as folder:
        folder.mkdir()
        (folder / WEIGHTS).write_bytes(content)
        (folder / CARD).write_bytes(card.read_bytes())
    return cache / name


def _roots() -> Iterator[Path]:
    """Yield the folders with weights, in order of increasing priority."""
    if (cache := _cache()) is not None:
        yield cache
    yield from _checkout()
    if os.environ.get(FOLDER_VARIABLE):
        yield Path(os.environ[FOLDER_VARIABLE])


def _complete(root: Path) -> Iterator[tuple[str, Path]]:
    if root.is_dir():
        for folder in sorted(root.iterdir()):
            if (folder / CARD).is_file() and (folder / WEIGHTS).is_file():
                yield folder.name, folder


def _known() -> dict[str, Path]:
    """Return the folders of the cards in an installation or a checkout."""
    cards = [card for root in (_package() / "_weights", *_checkout()) for card in sorted(root.glob(f"*/{CARD}"))]
    return {card.parent.name: card.parent for card in cards}


def _package() -> Path:
    # Traversable has no common base with Path; an installed wheel is unpacked, so it is one in practice
    return Path(str(importlib.resources.files("finewave")))


def _checkout() -> list[Path]:
    root = checkout()
    return [] if root is None else [root / "weights"]


def _cache() -> Path | None:
    """Weights with the same name may differ from version to version."""
    cache = cache_folder()
    return None if cache is None else cache / "weights" / __version__


def _address() -> str | None:
    return os.environ.get(ADDRESS_VARIABLE) or RELEASE_ADDRESS

"""Names of systems to build and trained weights to load."""

from __future__ import annotations

from finewave.systems.registry import list_systems
from finewave.zoo.card import Card
from finewave.zoo.distribution.bundled_weights import CARD, weight_folders


def list_models(task: str | None = None, trained: bool = False) -> list[str]:
    """Return names of systems, or of trained weights.

    Parameters
    ----------
    task : {"sssr", "sr", "ssr", "fusion", "refsr"}, optional
        Only those of one task.
    trained : bool
        Return names of available weights, for `load_model`, instead of names of systems, for `create_model`.

    Returns
    -------
    list of str, sorted

    Raises
    ------
    InputError
        A ``ValueError``, if there is no such task.
    """
    systems = list_systems(task)
    if not trained:
        return systems
    folders = weight_folders()
    return sorted(n for n, folder in folders.items() if task is None or Card.read(folder / CARD).task == task)

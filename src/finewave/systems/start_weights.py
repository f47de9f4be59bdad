"""Weights to start from: of the same system, of a part of a composition, of a branch, or of another scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from finewave.errors import InputError
from finewave.systems.base import SRNetwork
from finewave.systems.registry import config_of, create_model
from finewave.systems.weights import fill_network


def start_from(net: SRNetwork, start: SRNetwork, source: str, *, any_scale: bool = False) -> bool:
    """Fill a network, its part of the same system, or the branch that ``start`` is, with the weights of ``start``.

    Parameters
    ----------
    net : SRNetwork
        Is changed.
    start : SRNetwork
        Keeps its weights.
    source : str
        Where they are from, for messages.
    any_scale : bool
        Accept weights of another scale: what depends on the scale stays untrained, so a training has to follow.

    Returns
    -------
    bool
        Whether nothing of the network is left to be prepared.

    Raises
    ------
    InputError
        The weights do not fit, or are of another scale and that is not accepted.
    """
    if start.system in net.branch_systems:
        _fill_branch(net, start, source)
        return False
    part = None
    if net.system != start.system:
        part = next((part for part in net.parts if net.part(part).system == start.system), None)
    learner = net if part is None else net.part(part)
    tensors = start.state_dict()
    if learner.system == start.system and learner.scale != start.scale:
        if not any_scale:
            raise InputError(
                f"{source} has scale {start.scale}, the network {learner.scale}: what depends on the scale would stay "
                "untrained, as there is no phase; use weights of this scale"
            )
        tensors = _tensors_at_scale(start, learner.scale)
    fill_network(learner, tensors, source)
    return part is None


def prepare_rest(
    net: SRNetwork, samples: Iterable[Mapping[str, Tensor]], seed: int, start: SRNetwork | None, source: str
) -> None:
    """Prepare what `start_from` has left, or the whole network without weights to start from.

    Parameters
    ----------
    net : SRNetwork
        Is changed.
    samples, seed
        Of `SRNetwork.prepare_from`.
    start, source
        Of `start_from`, which was called with them; None: it was not.
    """
    net.prepare_from(samples, seed)
    if start is not None and start.system in net.branch_systems:
        _fill_branch(net, start, source)  # a network prepares its branches together, this one too


def _tensors_at_scale(start: SRNetwork, scale: int) -> dict[str, Tensor]:
    """Return the tensors of a network at another scale: its own, and newly created ones where they depend on it."""
    tensors = start.state_dict()
    system, config = config_of(start)
    created = create_model(system, **{**config, "scale": scale}).state_dict()
    return created | {k: v for k, v in tensors.items() if k in created and v.shape == created[k].shape}


def _fill_branch(net: SRNetwork, start: SRNetwork, source: str) -> None:
    name = net.branch_systems[start.system]
    tensors = {f"{name}.{key.removeprefix('branch.')}": tensor for key, tensor in start.state_dict().items()}
    fill_network(net, net.state_dict() | tensors, source)

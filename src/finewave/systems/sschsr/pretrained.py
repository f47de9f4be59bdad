"""Pretrained parts of SSC-HSR, from files that the user has: flow, matching features, reference features.

The published system starts from RAFT's "things" weights, from a VGG-16 trained on correspondences, and from VGG-19
trained on ImageNet. None of them is included; without them, the same parts are trained on synthetic pairs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from finewave.errors import InputError
from finewave.systems.reference_weights import Rules, bare, fill_renamed
from finewave.systems.sschsr.network import SSCHSR
from finewave.systems.sschsr.reference import RAFT_RULES, without_aliases
from finewave.systems.weights import read_weights

_TORCHVISION_RAFT: Rules = [
    (r"(feature|context)_encoder\.convnormrelu\.0\.", r"\1_encoder.conv1."),
    (r"(feature|context)_encoder\.convnormrelu\.1\.", r"\1_encoder.norm1."),
    (r"(feature|context)_encoder\.conv\.", r"\1_encoder.conv2."),
    (r"\bconvnormrelu(\d)\.0\.", r"conv\1."),
    (r"\bconvnormrelu(\d)\.1\.", r"norm\1."),
    (r"\bupdate_block\.motion_encoder\.convcorr(\d)\.0\.", r"update.encoder.convc\1."),
    (r"\bupdate_block\.motion_encoder\.convflow(\d)\.0\.", r"update.encoder.convf\1."),
    (r"\bupdate_block\.motion_encoder\.conv\.0\.", "update.encoder.conv."),
    (r"\bupdate_block\.recurrent_block\.convgru(\d)\.conv([zrq])\.", r"update.gru.conv\2\1."),
    (r"\bupdate_block\.flow_head\.", "update.flow_head."),
    (r"\bmask_predictor\.convrelu\.0\.", "update.mask.0."),
    (r"\bmask_predictor\.conv\.", "update.mask.2."),
]
_VGG: Rules = [(r"^.*?\b(conv\d_\d\.)", r"\1")]
_TORCHVISION_VGG: Rules = [
    (rf"^features\.{i}\.", f"conv{name}.") for i, name in ((0, "1_1"), (2, "1_2"), (5, "2_1"), (7, "2_2"), (10, "3_1"))
]
_BEYOND = r"^classifier\.|^features\.(1[2-9]|[2-9]\d)\.|(^|\.)(mean|std)$|\bconv(3_[2-9]|[45]_\d)\."


def load_pretrained(
    net: nn.Module,
    *,
    flow: str | Path | None = None,
    matching: str | Path | None = None,
    reference: str | Path | None = None,
) -> None:
    """Copy pretrained weights into parts of an `SSCHSR`; parts given as None stay unchanged.

    Parameters
    ----------
    net : SSCHSR
        With ``flow_features=64`` or ``features=64`` for the parts in question, as published.
    flow : str or Path, optional
        ``.safetensors`` file with RAFT's weights, named as in its authors' code or as in torchvision's ``raft_large``.
    matching : str or Path, optional
        VGG-16: its authors' pair trained on correspondences (``feature_extraction_image1.model.conv1_1.weight`` ...),
        or one network for both images, named as in torchvision (``features.0.weight`` ...).
    reference : str or Path, optional
        VGG-19, named as in torchvision.

    Raises
    ------
    InputError
        A ``ValueError``, if a file cannot be read or its names or shapes do not fit.
    """
    if not isinstance(net, SSCHSR):
        raise InputError(f"pretrained flow and features are for ssc-hsr; given {type(net).__name__}")
    if flow is not None:
        weights = without_aliases(_read(flow))
        rules = RAFT_RULES if any(key.startswith("fnet.") for key in weights) else _TORCHVISION_RAFT
        _fill(net.flow_network, weights, rules, flow)
    if matching is not None:
        weights = _read(matching)
        for part, name in ((net.match_image, "image1"), (net.match_reference, "image2")):
            own = {key: value for key, value in weights.items() if f"feature_extraction_{name}." in key}
            _fill(part, own or weights, [*_TORCHVISION_VGG, *_VGG], matching)
    if reference is not None:
        _fill(net.reference_features, _read(reference), [*_TORCHVISION_VGG, *_VGG], reference)


def _read(path: str | Path) -> dict[str, Tensor]:
    return bare(read_weights(Path(path))[0])


def _fill(part: nn.Module, weights: Mapping[str, Tensor], rules: Rules, path: str | Path) -> None:
    used = {key: value for key, value in weights.items() if not re.search(_BEYOND, key)}
    try:
        fill_renamed(part, used, rules)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error

"""Weights saved by the public US3RN code (junjun-jiang/US3RN), in our `US3RN` or in one of its modules.

The two differ in names alone, and in the powers of two that the public code's scales are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from finewave.errors import InputError
from finewave.nn.sampling import prime_factors
from finewave.systems.reference_weights import Rules, bare, build_module, check_names, fill_renamed, shape_of
from finewave.systems.registry import create_model
from finewave.systems.us3rn.network import (
    US3RN,
    CorrectionBlock,
    Decimation,
    DecimationAdjoint,
    FirstBlock,
    IterationBlock,
    LastBlock,
    MiddleBlock,
)
from finewave.systems.us3rn.nonlocal_attention import NonLocalBlock

Config = Mapping[str, Any]

# --- Keys ---------------------------------------------------------------------------------------------------------
# Pairs of a pattern and its replacement, applied to a key in order.

_SAMPLING = [(r"\b(down|up)sample\.(\d+)\.", r"\2.")]
_RES_BLOCK = [(r"\bbody\.0\.", "conv1."), (r"\bbody\.2\.", "conv2.")]
_NONLOCAL = [(r"\bW\.0\.", "w."), (r"\bW\.1\.", "norm.")]
_BLOCK = [
    (r"\balpha_hidden$", "alpha"),
    (r"\bchannels_inc$", "inc_weight"),
    (r"\bchannels_dec$", "dec_weight"),
    (r"\bconv1x1_1\.", "mix."),
    (r"\bnl\.", "inverse."),
    (r"\b(down|up)sample(\d)\.(?:down|up)sample\.", r"\1\2."),
    *_NONLOCAL,
    *_RES_BLOCK,
]
_NETWORK = [
    (r"^body1\.", "opening."),
    (r"^body2\.", "middle."),
    (r"^body3\.", "closing."),
    (r"^res_x\.0\.upsample\.", "skip_up."),
    (r"^res_x\.1\.", "skip."),
    (r"^convx\.0\.", "merge."),
    (r"^convxx\.", "final."),
    *_BLOCK,
]

# --- Modules ------------------------------------------------------------------------------------------------------


def _block(kind: type[IterationBlock]) -> Callable[[Config], nn.Module]:
    return lambda c: kind(c["in_channels"], c["out_channels"], _factors(c["ratio"]), 3)


def _factors(ratio: int) -> list[int]:
    """Return the layers' factors; the public code has int(log2(ratio)) of 2 each."""
    if ratio < 2 or ratio & (ratio - 1):
        made = 1 << (ratio.bit_length() - 1) if ratio >= 2 else 1
        raise InputError(
            f"ratio={ratio} of the public US3RN code is not a power of two; such a network enlarges by {made}"
        )
    return prime_factors(ratio)


_MODULES: dict[str, tuple[Callable[[Config], nn.Module], Rules]] = {
    "Downsample": (lambda c: Decimation(c["channels"], _factors(c["ratio"])), _SAMPLING),
    "Upsample": (lambda c: DecimationAdjoint(c["channels"], _factors(c["ratio"])), _SAMPLING),
    "resblock": (lambda c: CorrectionBlock(c["channels"]), _RES_BLOCK),
    "NonLocal2D": (lambda c: NonLocalBlock(c["channels"], c.get("inner")), _NONLOCAL),
    "InSSSRBlock": (_block(FirstBlock), _BLOCK),
    "MidSSSRBlock": (_block(MiddleBlock), _BLOCK),
    "OutSSSRBlock": (_block(LastBlock), _BLOCK),
}
_OF_NETWORK = ("module", "in_channels", "out_channels", "ratio")
_OF_MODULES = ("channels", "inner", "kernel")
_WITHOUT_EFFECT = ("mode", "note")  # the reference cases' remarks
_HYPER_PARAMETERS = (*_OF_NETWORK, *_OF_MODULES, *_WITHOUT_EFFECT)


def from_reference(state_dict: Mapping[str, Tensor], **config: Any) -> nn.Module:
    """Build `US3RN`, or the module that ``config["module"]`` names, with weights of the public code.

    Parameters
    ----------
    state_dict : mapping of str to Tensor
        Keys as the public code saves them, with or without the prefix ``module.``; or a whole checkpoint of that code,
        whose entry ``param`` is used.
    **config
        Hyper-parameters: ``in_channels``, ``out_channels``, ``ratio``. Of the whole network they can be left out.
        ``module`` is ``"S3RNet"`` by default; modules also take ``channels`` and ``inner``.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    InputError
        A ``ValueError``, if the module or a hyper-parameter is unknown, one is missing, or keys or shapes do not fit.
    """
    check_names("US3RN", config, _HYPER_PARAMETERS)
    whole = state_dict.get("param")
    state_dict = bare(whole if isinstance(whole, Mapping) else state_dict)
    name = str(config.get("module", "S3RNet")).partition(" ")[0]
    modules = {"S3RNet": (lambda c: _network(state_dict, c), _NETWORK), **_MODULES}
    net = build_module("us3rn", name, {key: build for key, (build, _) in modules.items()}, config)
    return fill_renamed(net, state_dict, modules[name][1])


def _network(state_dict: Mapping[str, Tensor], config: Config) -> US3RN:
    """Build the network; hyper-parameters missing in ``config`` are inferred from shapes."""
    shape = partial(shape_of, "US3RN", state_dict)
    hs_bands, ms_bands = shape("body1.channels_inc")[:2]
    layers = sum(re.fullmatch(r"body1\.upsample1\.upsample\.\d+\.weight", key) is not None for key in state_dict)
    ratio = config.get("ratio", 2**layers)
    _factors(ratio)
    net = create_model(
        "us3rn",
        scale=ratio,
        ms_bands=config.get("in_channels", ms_bands),
        hs_bands=config.get("out_channels", hs_bands),
        initialisation="published",
    )
    assert isinstance(net, US3RN)
    return net

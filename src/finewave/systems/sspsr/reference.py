"""Weights saved by the public SSPSR code (junjun-jiang/SSPSR), in our `SSPSR` or in one of its modules.

The two differ in names only. That code saves the whole network; pass its ``state_dict()``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from math import isqrt, prod
from typing import Any

from torch import Tensor, nn

from finewave.errors import InputError
from finewave.nn.sampling import prime_factors
from finewave.systems.reference_weights import Rules, bare, build_module, check_names, fill_renamed, shape_of
from finewave.systems.registry import create_model
from finewave.systems.sspsr.network import SSB, SSPN, SSPSR, BranchUnit

Config = Mapping[str, Any]

# --- Keys ---------------------------------------------------------------------------------------------------------
# Pairs of a pattern and its replacement, applied to a key in order.

_SSB = [
    (r"\bspa\.body\.0\.", "spatial1."),
    (r"\bspa\.body\.2\.", "spatial2."),
    (r"\bspc\.body\.0\.", "spectral1."),
    (r"\bspc\.body\.2\.", "spectral2."),
    (r"\bspc\.body\.3\.conv_du\.0\.", "attention.squeeze."),
    (r"\bspc\.body\.3\.conv_du\.2\.", "attention.excite."),
]
_SSPN = [(r"\bnet\.(\d+)\.", r"\1."), *_SSB]
_BRANCH = [
    # convolutions are numbered with the pixel shuffles between them
    (r"\bupsample\.(\d+)\.", lambda m: f"upsampler.{int(m[1]) // 2}."),
    *_SSPN,
]
_NETWORK = [
    (r"^branch\.(\d+)\.", r"branches.\1."),
    (r"^branch\.", "branches.0."),
    (r"^skip_conv\.", "skip."),
    *_BRANCH,
]


# --- Modules ------------------------------------------------------------------------------------------------------


def _branch_unit(c: Config) -> BranchUnit:
    factors = prime_factors(c["up_scale"])
    return BranchUnit(
        c["bands"], c["features"], c["blocks"], factors, tail=c["use_tail"], residual_scale=c["res_scale"]
    )


_MODULES: dict[str, tuple[Callable[[Config], nn.Module], Rules]] = {
    "SSB": (lambda c: SSB(c["features"], c["res_scale"], c["reduction"]), _SSB),
    "SSPN": (lambda c: SSPN(c["features"], c["blocks"], c["res_scale"]), _SSPN),
    "BranchUnit": (_branch_unit, _BRANCH),
}

_OF_NETWORK = (
    *("module", "scale", "bands", "group_size", "overlap", "features", "blocks", "res_scale", "shared_branch"),
)
_OF_MODULES = ("up_scale", "use_tail", "reduction")
_PUBLIC_WORDS = {  # the public constructor's names for the same
    "n_scale": "scale",
    "n_colors": "bands",
    "n_subs": "group_size",
    "n_ovls": "overlap",
    "n_feats": "features",
    "n_blocks": "blocks",
    "use_share": "shared_branch",
}
_WITHOUT_EFFECT = ("groups", "group_start", "group_end")  # the reference cases' remarks
_HYPER_PARAMETERS = (*_OF_NETWORK, *_OF_MODULES, *_PUBLIC_WORDS, *_WITHOUT_EFFECT)


def from_reference(state_dict: Mapping[str, Tensor], **config: Any) -> nn.Module:
    """Build `SSPSR`, or the module that ``config["module"]`` names, with weights of the public code.

    Parameters
    ----------
    state_dict : mapping of str to Tensor
        Keys as the public code saves them; a prefix common to all, ``module.``, is removed.
    **config
        Hyper-parameters: ``scale``, ``bands``, ``group_size``, ``overlap``, ``features``, ``blocks``, ``res_scale``,
        ``shared_branch``, or by the names of the public constructor, ``n_scale``, ``n_colors``, ``n_subs``, ``n_ovls``,
        ``n_feats``, ``n_blocks``, ``use_share``. Of the whole network, ``overlap`` must be given (it does not affect
        shapes); the rest can be omitted. ``module`` is ``"SSPSR"`` by default.

    Raises
    ------
    InputError
        A ``ValueError``, if the module or a hyper-parameter is unknown, one is missing, or keys or shapes do not fit.
    """
    check_names("SSPSR", config, _HYPER_PARAMETERS)
    config = {_PUBLIC_WORDS.get(key, key): value for key, value in config.items()}
    state_dict = bare(state_dict)
    name = config.get("module", "SSPSR")
    modules = {"SSPSR": (lambda c: _network(state_dict, c), _NETWORK), **_MODULES}
    net = build_module("sspsr", name, {key: build for key, (build, _) in modules.items()}, config)
    return fill_renamed(net, state_dict, modules[name][1])


def _network(state_dict: Mapping[str, Tensor], config: Config) -> SSPSR:
    """Build the network; hyper-parameters missing in ``config`` are inferred from shapes."""
    if "overlap" not in config:
        raise InputError(
            "the overlap of SSPSR's groups cannot be inferred from shapes: give overlap= (Chikusei and Pavia 2, CAVE 1)"
        )
    shape = partial(shape_of, "SSPSR", state_dict)

    def factors(unit: str) -> list[int]:
        """Pixel shuffles by p follow convolutions from F to p^2 F."""
        convs = [v.shape for k, v in state_dict.items() if re.fullmatch(rf"{unit}\.upsample\.\d+\.weight", k)]
        return [isqrt(s[0] // s[1]) for s in convs]

    shared = config.get("shared_branch", "branch.head.weight" in state_dict)
    branch = "branch" if shared else "branch.0"
    features, bands = shape("skip_conv.weight")[:2]
    blocks = {m[1] for key in state_dict if (m := re.match(r"trunk\.body\.net\.(\d+)\.", key))}
    squeezed = shape("trunk.body.net.0.spc.body.3.conv_du.0.weight")
    net = create_model(
        "sspsr",
        scale=config.get("scale", prod((*factors(branch), *factors("trunk")))),
        hs_bands=config.get("bands", bands),
        group_size=config.get("group_size", shape(f"{branch}.head.weight")[1]),
        overlap=config["overlap"],
        features=config.get("features", features),
        blocks=config.get("blocks", len(blocks)),
        shared=shared,
        residual_scale=config.get("res_scale", 0.1),
        reduction=squeezed[1] // squeezed[0],
        initialisation="framework",
    )
    assert isinstance(net, SSPSR)
    return net

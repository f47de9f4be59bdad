"""Weights saved by the public JSSUNet code (TAMI-UIB/JSSUNet), in our `JSSUNet` or in one of its modules.

The two differ in names, in the layout of the cluster MLPs (one module per cluster there, stacked here) and of the
patch embedding (a 1 x 1 convolution of unfolded patches there, a P x P convolution here).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import isqrt, prod
from typing import Any

import torch
from torch import Tensor, nn

from finewave.errors import InputError, unknown_name
from finewave.nn.kernels.window_attention import HeadAttention, MultiHeadAttention
from finewave.nn.residual import RCAB
from finewave.nn.sampling import BPUp, Down, Up, prime_factors
from finewave.systems.jssunet.branches import JSSUNetFusion
from finewave.systems.jssunet.clusters import ClusterMLP, SpecDown, SpecUp
from finewave.systems.jssunet.network import (
    HFI,
    LFE,
    Clusters,
    FusionBranch,
    FusionStage,
    JSSUNet,
    PostProcessing,
    ProxFus,
    ProxSR,
    ProxSSR,
    SRBranch,
    SRStage,
    SSRBranch,
    SSRStage,
)
from finewave.systems.registry import create_model

Config = Mapping[str, Any]

# --- Keys ---------------------------------------------------------------------------------------------------------
# Pairs of a pattern and its replacement, applied to a key in order. Inner parts come first, so each list
# begins with the lists of the parts it contains.

_DOWN = [(r"\bconv\.(\d+)\.weight$", r"\1.weight")]
_UP = [(r"\bup\.(\d+)\.weight$", r"\1.weight")]
_BPUP = [
    (r"\bUp0\.up\.(\d+)\.weight$", r"first.\1.weight"),
    (r"\bUp\.(\d+)\.up\.(\d+)\.weight$", r"up.\1.\2.weight"),
    (r"\bDown\.(\d+)\.conv\.(\d+)\.weight$", r"down.\1.\2.weight"),
]
_RESIDUAL_NET = [  # ProxSR and ProxFus
    (r"\bResNet\.0\.conv\.0\.", "head."),
    (r"\bResNet\.(\d+)\.cnn\.(\d)\.", lambda m: f"blocks.{int(m[1]) - 1}.conv{int(m[2]) + 1}."),
    (r"\b(conv\d)\.conv\.0\.", r"\1."),
    (r"\bResNet\.\d+\.(weight|bias)$", r"tail.\1"),
]
_RCAB = [
    (r"\bmodule\.3\.conv_du\.0\.", "attention.squeeze."),
    (r"\bmodule\.3\.conv_du\.2\.", "attention.excite."),
    (r"\bmodule\.0\.(weight|bias)$", r"conv1.\1"),
    (r"\bmodule\.2\.(weight|bias)$", r"conv2.\1"),
]
_PROX_SSR = [
    (r"\bpre\.", "head."),
    (r"\bmodule\.(\d+)\.(?=module\.)", r"blocks.\1."),
    (r"(?<!\d\.)\bmodule\.(\d+)\.(weight|bias)$", lambda m: f"tail.{m[2]}"),
]
_LFE = [(r"\bget_lf\.0\.", "conv1."), (r"\bget_lf\.1\.", "conv2.")]
_HFI = [(rf"\bget_hf\.{i}\.", f"conv{i + 1}.") for i in range(3)]
_HEAD = [(r"\bemb_conv\.", "embed."), (r"(^|\.)g\.weight$", r"\1value.weight")]
_MHA = [(r"\bhead(\d+)\.", lambda m: f"heads.{int(m[1]) - 1}."), *_HEAD]
_POST = [
    (r"\bNL(\d)\.", r"attention\1."),
    (r"\bresidual\.0\.", "head."),
    (r"\bresidual\.1\.cnn\.0\.conv\.0\.", "block.conv1."),
    (r"\bresidual\.1\.cnn\.1\.", "block.norm1."),
    (r"\bresidual\.1\.cnn\.2\.conv\.0\.", "block.conv2."),
    (r"\bresidual\.1\.cnn\.3\.", "block.norm2."),
    (r"\bresidual\.1\.cnn\.4\.", "block.conv3."),
    (r"\bresidual\.2\.", "tail."),
    *_MHA,
]
_SR = [
    (r"\bDown\.(\d+)\.conv\.(\d+)\.weight$", r"stages.\1.down.\2.weight"),
    (r"\bUp\.(\d+)\.Up0\.up\.(\d+)\.", r"stages.\1.up.first.\2."),
    (r"\bUp\.(\d+)\.Up\.(\d+)\.up\.(\d+)\.", r"stages.\1.up.up.\2.\3."),
    (r"\bUp\.(\d+)\.stages\.(\d+)\.down\.", r"stages.\1.up.down.\2."),
    (r"\bProx\.(\d+)\.", r"stages.\1.prox."),
    *_RESIDUAL_NET,
]
_SSR = [
    (r"\bclustering_cnn\.", "clusters.net."),
    (r"\bspectral_inter\.", "initial."),
    (r"\bUp\.(\d+)\.", r"stages.\1.spec_up."),
    (r"\bDown\.(\d+)\.", r"stages.\1.spec_down."),
    (r"\bProx\.(\d+)\.", r"stages.\1.prox."),
    *_PROX_SSR,
    *_RCAB,
]
_FUSION = [
    (r"\bget_lf_from_ms\.", "low_ms."),
    (r"\bget_lf_from_hs\.", "low_hs."),
    (r"\bget_hf_from_ms\.", "high."),
    (r"(^|\.)init\.", r"\1initial."),
    (r"\balpha\.(\d+)\.weight$", r"stages.\1.step_size"),
    (r"\bProx\.(\d+)\.", r"stages.\1.prox."),
    *_LFE,
    *_HFI,
    *_RESIDUAL_NET,
]


def _renamed(key: str, rules: list[tuple[str, Any]]) -> str:
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key


def _renamed_network(key: str) -> str:
    branch, _, rest = key.partition(".")
    branches = {
        "SR": ("sr", _SR),
        "SSR": ("ssr", _SSR),
        "Fusion": ("fusion", _FUSION),
        "post": ("post", _POST),
    }
    if branch not in branches:
        return key  # reported as unexpected below
    name, rules = branches[branch]
    return f"{name}.{_renamed(rest, rules)}"


def _fill(net: nn.Module, state_dict: Mapping[str, Tensor], rename: Callable[[str], str]) -> nn.Module:
    """Copy the reference's tensors into ``net``; every tensor must have a counterpart."""
    own = net.state_dict()
    stacked: dict[str, dict[int, Tensor]] = {}
    values: dict[str, Tensor] = {}
    for key, value in state_dict.items():
        if key.endswith("num_batches_tracked"):
            continue
        new = rename(key)
        mlp = re.fullmatch(r"(.*?)mlps\.(\d+)\.(\d+)\.(weight|bias)", new)
        if mlp:  # layers are numbered with the activations between them
            stacked.setdefault(f"{mlp[1]}{mlp[4]}.{int(mlp[3]) // 2}", {})[int(mlp[2])] = value
            continue
        if new not in own:
            raise InputError(f"key {key!r} of the state dict does not fit into {type(net).__name__}")
        values[new] = value
    for key, parts in stacked.items():
        if key not in own:
            raise InputError(f"the cluster MLPs' {key!r} have no place in {type(net).__name__}")
        *path, kind, i = key.split(".")
        partner = ".".join((*path, "bias" if kind == "weight" else "weight", i))
        if parts.keys() != stacked.get(partner, {}).keys():
            raise InputError(f"the cluster MLPs' {key!r} and {partner!r} are not there for the same clusters")
        owner = net.get_submodule(".".join(path))
        single_layer = isinstance(owner, ClusterMLP) and len(owner.weight) == 1
        values[key] = _stacked(key, parts, own[key].shape, is_spec_down=single_layer)
    for key, value in own.items():
        if key.endswith("num_batches_tracked"):
            values[key] = value
        elif key not in values:
            raise InputError(f"the state dict lacks {type(net).__name__}'s {key!r} of {tuple(value.shape)}")
        elif not _fits(values[key].shape, value.shape):
            raise InputError(
                f"{type(net).__name__}'s {key!r} has shape {tuple(value.shape)}; "
                f"the state dict's is {tuple(values[key].shape)}"
            )
        else:
            values[key] = values[key].reshape(value.shape)
    net.load_state_dict(values)
    return net


def _stacked(key: str, parts: dict[int, Tensor], expected: torch.Size, is_spec_down: bool) -> Tensor:
    """Return one parameter of all cluster MLPs, (M, ...), from those of each."""
    M, *shape = expected
    for m, part in parts.items():
        if list(part.shape) != shape:
            raise InputError(f"{key!r} of cluster {m} has shape {tuple(part.shape)}; {tuple(shape)} is expected")
    if is_spec_down and max(parts) < len(parts) < M:
        # The public SpecDown has 5 MLPs whatever the number of clusters; pixels of other clusters become zero.
        parts = {**parts, **{m: torch.zeros_like(parts[0]) for m in range(len(parts), M)}}
    if sorted(parts) != list(range(M)):
        raise InputError(f"{key!r} is there for clusters {sorted(parts)}; {M} clusters are expected, from 0 on")
    return torch.stack([parts[m] for m in range(M)])


def _fits(shape: torch.Size, expected: torch.Size) -> bool:
    """Return whether shapes agree; the patch embedding's and the step sizes' have another layout in the public code."""
    return shape == expected or (shape[:1] == expected[:1] and shape[2:] == (1, 1) and prod(shape) == prod(expected))


# --- Modules ------------------------------------------------------------------------------------------------------


def _post(c: Config, channels: str = "channels") -> PostProcessing:
    return PostProcessing(
        c[channels],
        c["features"],
        heads=c.get("heads", 3),
        embedding=c["emb_dim"],
        patch=c["patch_size"],
        window=c["window_size"],
        top_percent=c["k_percent"],
    )


def _head_options(c: Config) -> dict[str, Any]:
    return {
        "embedding": c["emb_dim"],
        "patch": c["patch_size"],
        "window": c["window_size"],
        "top_percent": c["k_percent"],
    }


def _sr_branch(c: Config) -> SRBranch:
    factors = prime_factors(c["sampling"])
    stage = (c["ms_channels"], c["features"], factors, c["bp_iterations"], c["sr_prox_res_blocks"])
    return SRBranch(c["sampling"], [SRStage(*stage) for _ in range(c["stages"])], c.get("sr_init", "nearest"))


def _ssr_branch(c: Config) -> SSRBranch:
    ms, hs, M, features = c["ms_channels"], c["hs_channels"], c["classes"], c["features"]
    prox = (hs, features, c["rcab_per_prox"], c["reduction"])
    stages = [SSRStage(SpecDown(M, hs, ms), SpecUp(M, ms, features, hs), ProxSSR(*prox)) for _ in range(c["stages"])]
    return SSRBranch(Clusters(ms, M, "learned"), SpecUp(M, ms, features, hs), stages)


def _fusion_branch(c: Config) -> FusionBranch:
    ms, hs, features = c["ms_channels"], c["hs_channels"], c["features"]
    stages = [FusionStage(hs, ms, features, c["fus_prox_res_blocks"]) for _ in range(c["stages"])]
    return FusionBranch(c["sampling"], ms, hs, features, False, stages)


_MODULES: dict[str, tuple[Callable[[Config], nn.Module], list[tuple[str, Any]]]] = {
    "Down": (
        lambda c: Down(c["channels"], prime_factors(c["sampling"]), c.get("groups", c["channels"])),
        _DOWN,
    ),
    "Up": (lambda c: Up(c["channels"], prime_factors(c["sampling"])), _UP),
    "BPUp": (lambda c: BPUp(c["channels"], prime_factors(c["sampling"]), c.get("iterations", 1)), _BPUP),
    "RCAB": (lambda c: RCAB(c["features"], c["kernel_size"], c["reduction"]), _RCAB),
    "ProxSR": (
        lambda c: ProxSR(c["channels"], c["features"], c["res_blocks"], c["kernel_size"]),
        _RESIDUAL_NET,
    ),
    "ProxSSR": (
        lambda c: ProxSSR(c["channels"], c["features"], c["n_rcab"], c["reduction"], c["kernel_size"]),
        [*_PROX_SSR, *_RCAB],
    ),
    "ProxFus": (
        lambda c: ProxFus(c["hs_channels"], c["ms_channels"], c["features"], c["res_blocks"], c["kernel_size"]),
        _RESIDUAL_NET,
    ),
    "SpecUp": (lambda c: SpecUp(c["classes"], c["ms_channels"], c["features"], c["hs_channels"]), []),
    "SpecDown": (lambda c: SpecDown(c["classes"], c["hs_channels"], c["ms_channels"]), []),
    "LFE": (lambda c: LFE(c["in_channels"], c["out_channels"], c["features"]), _LFE),
    "HFI": (lambda c: HFI(c["ms_channels"], c["hs_channels"], c["features"]), _HFI),
    "HeadAttention": (lambda c: HeadAttention(c["channels"], **_head_options(c)), _HEAD),
    "MHA": (
        lambda c: MultiHeadAttention(c["channels"], c["heads"], c["mlp_hidden"], **_head_options(c)),
        _MHA,
    ),
    "PostProcessing": (_post, _POST),
    "SRModule": (_sr_branch, _SR),
    "SSRModule": (_ssr_branch, _SSR),
    "FusModule": (_fusion_branch, _FUSION),
}


_OF_NETWORK = (
    *("module", "sampling", "ms_channels", "hs_channels", "stages", "features", "classes", "bp_iterations"),
    *("sr_prox_res_blocks", "rcab_per_prox", "fus_prox_res_blocks", "reduction", "sr_init"),
    *("patch_size", "window_size", "emb_dim", "k_percent"),
)
_OF_MODULES = (
    *("channels", "in_channels", "out_channels", "groups", "iterations", "kernel_size", "res_blocks", "n_rcab"),
    *("heads", "mlp_hidden"),
)
_WITHOUT_EFFECT = ("spec_down_classes", "k", "mode", "output_list")  # the reference cases' remarks
_HYPER_PARAMETERS = (*_OF_NETWORK, *_OF_MODULES, *_WITHOUT_EFFECT)


def from_reference(state_dict: Mapping[str, Tensor], **config: Any) -> nn.Module:
    """Build `JSSUNet`, or the module that ``config["module"]`` names, with weights of the public code.

    Parameters
    ----------
    state_dict : mapping of str to Tensor
        Keys as the public code saves them; a prefix ``param.`` common to all is removed.
    **config
        The public code's hyper-parameters: ``sampling``, ``ms_channels``, ``hs_channels``, ``stages``, ``features``,
        ``classes``, ``bp_iterations``, ``sr_prox_res_blocks``, ``rcab_per_prox``, ``fus_prox_res_blocks``,
        ``reduction``, ``patch_size``, ``window_size``, ``emb_dim``, ``k_percent``, ``sr_init`` (that code's is
        ``"nearest"``). For the whole network, those given by shapes can be omitted. ``module`` is ``"JSSUNet"`` by
        default.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    InputError
        A ``ValueError``, if the module or a hyper-parameter is unknown, one is missing, or keys or shapes do not fit.
    """
    for option in config:
        if option not in _HYPER_PARAMETERS:
            raise unknown_name("hyper-parameter of the public JSSUNet code", option, _HYPER_PARAMETERS)
    if state_dict and all(key.startswith("param.") for key in state_dict):
        state_dict = {key.removeprefix("param."): value for key, value in state_dict.items()}
    name = config.get("module", "JSSUNet")
    if name == "JSSUNet":
        return _fill(_network(state_dict, config), state_dict, _renamed_network)
    if name not in _MODULES:
        raise unknown_name("module of jssunet", name, ["JSSUNet", *_MODULES])
    build, rules = _MODULES[name]
    try:
        net = build(config)
    except KeyError as error:
        raise InputError(f"jssunet's module {name} needs the hyper-parameter {error.args[0]!r}") from error
    return _fill(net, state_dict, lambda key: _renamed(key, rules))


def _network(state_dict: Mapping[str, Tensor], config: Config) -> JSSUNet:
    """Build the network; hyper-parameters missing in ``config`` are inferred from shapes."""

    def count(pattern: str) -> int:
        return len({match[1] for key in state_dict if (match := re.match(pattern, key))})

    def shape(key: str) -> torch.Size:
        if key not in state_dict:
            raise InputError(f"the state dict is not a JSSUNet's: it has no {key!r}")
        return state_dict[key].shape

    features, ms = shape("SR.Prox.0.ResNet.0.conv.0.weight")[:2]
    hs = shape("SSR.Prox.0.pre.weight")[1]
    primes = [(s.shape[-1] - 1) // 2 for k, s in state_dict.items() if k.startswith("SR.Down.0.conv.")]
    post = any(key.startswith("post.") for key in state_dict)
    options: dict[str, Any] = {}
    if post:
        embedding, patch_values = shape("post.NL1.head1.emb_conv.weight")[:2]
        options = {
            "embedding": config.get("emb_dim", embedding),
            "patch": config.get("patch_size", isqrt(patch_values // hs)),
            "heads": count(r"post\.NL1\.head(\d+)\."),
            "window": config.get("window_size", 11),
            "top_percent": config.get("k_percent", 10),
        }
    squeezed = shape("SSR.Prox.0.module.0.module.3.conv_du.0.weight")
    net = create_model(
        "jssunet",
        scale=config.get("sampling", prod(primes)),
        ms_bands=config.get("ms_channels", ms),
        hs_bands=config.get("hs_channels", hs),
        stages=config.get("stages", count(r"SR\.Down\.(\d+)\.")),
        features=config.get("features", features),
        n_clusters=config.get("classes", count(r"SSR\.spectral_inter\.mlps\.(\d+)\.")),
        back_projections=config.get("bp_iterations", count(r"SR\.Up\.0\.Down\.(\d+)\.")),
        sr_initial=config.get("sr_init", "nearest"),
        sr_blocks=config.get("sr_prox_res_blocks", count(r"SR\.Prox\.0\.ResNet\.(\d+)\.cnn\.")),
        ssr_blocks=config.get("rcab_per_prox", count(r"SSR\.Prox\.0\.module\.(\d+)\.module\.")),
        fusion_blocks=config.get("fus_prox_res_blocks", count(r"Fusion\.Prox\.0\.ResNet\.(\d+)\.cnn\.")),
        reduction=config.get("reduction", squeezed[1] // squeezed[0]),
        initialisation="framework",
        post=post,
        **options,
    )
    assert isinstance(net, JSSUNet)
    return net


def fusion_from_reference(state_dict: Mapping[str, Tensor], **config: Any) -> JSSUNetFusion:
    """Build ``jssunet-fusion`` with the weights of the public code's ``FusModule``.

    Parameters
    ----------
    state_dict, **config
        As in `from_reference`; ``module``, if it is given, is ``"FusModule"``.

    Returns
    -------
    JSSUNetFusion

    Raises
    ------
    InputError
        As `from_reference` does, or if another module is named.
    """
    module = config.get("module", "FusModule")
    if module != "FusModule":
        raise InputError(f"jssunet-fusion takes weights of the module 'FusModule'; {module!r} was given")
    branch = from_reference(state_dict, **{**config, "module": module})
    assert isinstance(branch, FusionBranch)
    net = create_model(
        "jssunet-fusion",
        scale=config["sampling"],
        ms_bands=config["ms_channels"],
        hs_bands=config["hs_channels"],
        stages=config["stages"],
        features=config["features"],
        fusion_blocks=config["fus_prox_res_blocks"],
        initialisation="framework",
    )
    assert isinstance(net, JSSUNetFusion)
    net.branch.load_state_dict(branch.state_dict())
    return net


PARTS = {"jssunet-fusion": fusion_from_reference}
"""Branches that are also separate systems, by name."""

"""Exported networks against PyTorch, for every system of the registry."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from finewave.cli import main
from finewave.errors import InputError
from finewave.nn.exporting import export_paths
from finewave.systems.registry import create_model
from finewave.zoo.card import Card, describe
from finewave.zoo.distribution.listing import list_models
from finewave.zoo.exports.export import TOLERANCE, compare, export, trace, write_onnx, write_pt2
from finewave.zoo.model import Model
from tests.test_conformity import SMALL, build, inputs_of

SLOW = {
    "awan",
    "fusformer",
    "jssunet",
    "mst++",
    "mulsr",
    "sr-ssr-fusion",
    "ssc-hsr",
    "ssfin",
    "us3rn",
    # built as others that are quick: ensemble-sssr, jssunet-fusion, sr-ssr, residual-sr
    "ensemble-fusion",
    "ensemble-sr",
    "ensemble-ssr",
    "jssunet-sr",
    "ssr-sr",
    "edsr",
    "gdrrn",
    # further below with local pooling
    "sspsr",
}
VARIANTS: dict[str, dict[str, Any]] = {
    "awan": {"blocks": 1},
    "jssunet": {"stages": 1},
    "jssunet-sr": {"stages": 1},
    "jssunet-ssr": {"stages": 1},
    "jssunet-fusion": {"stages": 1},
    "mst++": {"stages": 1},
    "ssfin": {"blocks": 1},
    "sspsr": {"blocks": 1},
}
SYSTEMS = [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in list_models()]
PAGE = Path(__file__).parents[3] / "docs" / "sharing.md"


def small(name: str, **options: Any) -> Model:
    """Return a small network with all of its parts in use, in scale 2."""
    return Model(build(name, scale=2, ms_bands=3, hs_bands=5, **{**VARIANTS.get(name, {}), **options}))


def size_of(net: nn.Module) -> tuple[int, int] | None:
    return (6, 8) if getattr(net, "export_fixed", None) else None


@pytest.mark.parametrize("system", SYSTEMS)
def test_exported_network_equals_pytorch(system: str, tmp_path: Path) -> None:
    """Both formats, each at two sizes where it takes any; `compare` raises above the tolerance."""
    model = small(system)
    lacks = getattr(model.net, "export_lacks", {})
    for kind, suffix in (("onnx", ".onnx"), ("pt2", ".pt2")):
        if kind in lacks:
            with pytest.raises(InputError, match=re.escape(lacks[kind])):
                export(model, tmp_path / f"net{suffix}")
    if "pt2" in lacks:
        return
    traced = trace(model, size_of(model.net))
    assert (traced.size is None) == (size_of(model.net) is None)
    for kind, write in (("onnx", write_onnx), ("pt2", write_pt2)):
        if kind not in lacks:
            path = tmp_path / f"net.{kind}"
            write(traced, path)
            assert compare(traced, path) <= TOLERANCE * 4
            assert [each.name for each in tmp_path.glob(f"net.{kind}*")] == [path.name]  # nothing beside it


@pytest.mark.slow
def test_kmeans_clusters_are_exported(tmp_path: Path) -> None:
    model = small("jssunet-ssr", clusters="kmeans")
    model.net.branch.clusters.set_centroids(torch.rand(2, 3))
    assert export(model, tmp_path / "net.onnx").difference < TOLERANCE


@pytest.mark.parametrize("system", list_models())
def test_paths_for_export_are_equal(system: str) -> None:
    """What is written down computes the same as what runs in PyTorch, whatever the size."""
    net = small(system).net.eval()
    for height, width in ((9, 11), (24, 17)):
        inputs = inputs_of(net, height, width, batch=2)
        with torch.no_grad():
            expected = net(**inputs)
            with export_paths():
                given = net(**inputs)
        torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-5)


def test_local_pooling_is_exported_for_any_size(tmp_path: Path) -> None:
    """Windows of 4 pixels in images of 17 x 25 and 9 x 17: `export` compares both with PyTorch."""
    model = Model(create_model("sspsr", **SMALL["sspsr"], scale=2, hs_bands=5))
    model = Model(model.net, describe(model.net, training_crop=8), pooling="local")
    written = export(model, tmp_path / "net.onnx")
    assert (written.size, model.pooling_window) == (None, 4)


# --- What is in a file --------------------------------------------------------------------------------------------


@pytest.fixture
def ridge(tmp_path: Path) -> Path:
    """Folder of a regression with a card."""
    return Model(create_model("ridge", hs_bands=5)).save(
        tmp_path / "ridge-5",
        wavelengths_nm=[450.0, 500.0, 550.0, 600.0, 650.0],
        ms_bands=["R", "G", "B"],
        ms_wavelengths_nm=[600.0, 540.0, 460.0],
        sensor="nikon-d5100",
        licence="CC0-1.0",
    )


def test_onnx_says_what_it_is(ridge: Path, tmp_path: Path) -> None:
    import onnx

    done = CliRunner().invoke(main, ["export", str(ridge), "-o", str(tmp_path / "net.onnx")])
    assert done.exit_code == 0, done.stderr
    assert re.fullmatch(r".*net\.onnx: any size, within .* of PyTorch\n", done.stdout)
    assert done.stderr == ""
    net = onnx.load(tmp_path / "net.onnx")
    onnx.checker.check_model(net)
    facts = {each.key.removeprefix("finewave."): each.value for each in net.metadata_props if "finewave." in each.key}
    assert json.loads(facts["wavelengths_nm"]) == [450.0, 500.0, 550.0, 600.0, 650.0]
    assert json.loads(facts["ms_wavelengths_nm"]) == [600.0, 540.0, 460.0]
    assert json.loads(facts["sensor"]) == "nikon-d5100"
    assert (json.loads(facts["scale"]), json.loads(facts["size"])) == (1, "any")
    assert Card.from_json(facts["card"]) == Card.read(ridge / "card.json")
    assert [each.name for each in net.graph.input] == ["hr_msi"]
    assert [each.name for each in net.graph.output] == ["hr_hsi"]


def test_pt2_has_its_card(ridge: Path, tmp_path: Path) -> None:
    written = export(ridge, tmp_path / "net.pt2", size=(4, 7))
    assert (written.size, written.difference) == ((4, 7), 0.0)
    extra = {"card.json": ""}
    module = torch.export.load(written.path, extra_files=extra).module()
    assert Card.from_json(extra["card.json"]) == Card.read(ridge / "card.json")
    x = torch.rand(1, 3, 4, 7)
    assert torch.equal(module(hr_msi=x), Model(_net_of(ridge)).predict(hr_msi=x))


def _net_of(folder: Path) -> nn.Module:
    from finewave.zoo.model import load_model

    return load_model(folder).net


def test_the_model_stays_as_it_was(tmp_path: Path) -> None:
    net = create_model("ridge", hs_bands=5).train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    export(Model(net), tmp_path / "net.pt2")
    assert net.training
    assert all(p.requires_grad for p in net.parameters())
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


# --- What can go wrong --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size", "words"),
    [
        ("net.pt", None, r"'\.pt'; did you mean '\.pt2'"),
        ("net.onnx", (0, 8), r"size=\(0, 8\) is out of range"),
        ("missing/net.onnx", None, "missing does not exist"),
    ],
)
def test_what_cannot_be_written(ridge: Path, tmp_path: Path, name: str, size: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        export(ridge, tmp_path / name, size=size)
    assert not (tmp_path / name).exists()


def test_another_format_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"pseudo-inverse.*; \.pt2 is possible"):
        export(small("gsa"), tmp_path / "net.onnx")


def test_size_on_the_command_line(ridge: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["export", str(ridge), "-o", str(tmp_path / "net.onnx"), "--size", "64"])
    assert done.exit_code == 2
    assert done.stderr.startswith("error: --size 64 is not a size; ")


def test_without_the_libraries(ridge: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(InputError, match=r"ONNX export needs the package onnxscript, .*\[export\]'"):
        export(ridge, tmp_path / "net.onnx")


def test_a_difference_is_noticed(ridge: Path, tmp_path: Path) -> None:
    traced = trace(Model(_net_of(ridge)))
    write_pt2(traced, tmp_path / "net.pt2")
    traced.net.coefficients.add_(1e-3)
    with pytest.raises(RuntimeError, match=r"differs from PyTorch's by 0\.00"):
        compare(traced, tmp_path / "net.pt2")


# --- What is said to be impossible is, and the page says the same -------------------------------------------------


def test_gsa_has_no_onnx_and_cnmf_nothing(tmp_path: Path) -> None:
    with pytest.raises(torch.onnx.errors.OnnxExporterError, match="linalg_pinv"):
        write_onnx(trace(small("gsa")), tmp_path / "net.onnx")
    with pytest.raises(RuntimeError):
        trace(small("cnmf"))


@pytest.mark.slow
@pytest.mark.parametrize("system", ["fusformer", "mulsr", "ssc-hsr"])
def test_networks_of_one_size_cannot_take_any(system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = small(system)
    assert model.net.export_fixed
    monkeypatch.setattr(type(model.net), "export_fixed", None)
    with pytest.raises(Exception):  # noqa: B017, PT011 - of PyTorch, of several kinds
        export(model, tmp_path / "net.pt2")


def row_of(system: str) -> str:
    """Return the line that a system's own words make; the page's table has those that are not exported in full."""
    net = small(system).net
    lacks, fixed = getattr(net, "export_lacks", {}), getattr(net, "export_fixed", None)
    multiple = getattr(net, "export_multiple", 1)
    size = "-" if "pt2" in lacks else "one" if fixed else "any" if multiple == 1 else f"multiples of {multiple}"
    why = "; ".join(dict.fromkeys((*lacks.values(), *([fixed] if fixed else ()))))
    cells = (f"`{system}`", *("no" if kind in lacks else "yes" for kind in ("onnx", "pt2")), size, why)
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def test_table_of_the_page_is_what_the_networks_say() -> None:
    told = [
        line for line in PAGE.read_text(encoding="utf-8").splitlines() if re.match(r"\| `[\w+-]+` \| (yes|no) ", line)
    ]
    rows = [row_of(system) for system in list_models()]
    assert told == [row for row in rows if not row.endswith("| yes | yes | any | |")]

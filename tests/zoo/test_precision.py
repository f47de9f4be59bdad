"""Which precision is chosen, and what bfloat16 costs on real scenes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from finewave.datasets.patches import DegradedScene
from finewave.datasets.registry import open_scenes
from finewave.errors import InputError
from finewave.metrics import MetricAccumulator
from finewave.physics.sensors import get_sensor
from finewave.process import instructions
from finewave.provenance import describe_machine
from finewave.systems.base import SRNetwork
from finewave.zoo import precision as module
from finewave.zoo.model import Model, load_model
from finewave.zoo.precision import bfloat16_gains, keeps_its_digits, training_precision, uses_bfloat16

CPU = torch.device("cpu")


class Repeat(SRNetwork):
    """The smallest network, which remembers in which number type it worked."""

    task = "sr"
    scale, ms_bands, hs_bands = 2, 3, 3

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3, 3, 1)
        self.worked_in = torch.float32

    def forward(self, lr_hsi: Tensor) -> Tensor:
        y = self.mix(lr_hsi)
        self.worked_in = y.dtype
        return nn.functional.interpolate(y, scale_factor=2)


class KeepsDigits(Repeat):
    mixed_precision = True


@pytest.mark.parametrize("gains", [True, False])
@pytest.mark.parametrize("net", [Repeat(), KeepsDigits()], ids=["silent", "declared"])
@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16"])
def test_choice(net: Repeat, precision: str, gains: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "bfloat16_gains", lambda device_type: gains)
    expected = precision == "bfloat16" or (precision == "auto" and gains and isinstance(net, KeepsDigits))
    assert uses_bfloat16(precision, net, CPU) == expected
    output = Model(net, precision=precision).predict(lr_hsi=torch.rand(1, 3, 4, 4))
    assert net.worked_in == (torch.bfloat16 if expected else torch.float32)
    assert output.dtype == torch.float32


@pytest.mark.parametrize(
    ("losses", "used"),
    [
        ({"psnr": -0.009, "ssim": 0.0004, "sam": 0.04}, True),
        ({"psnr": 0.011, "ssim": 0.0, "sam": 0.0}, False),
        ({"psnr": 0.0, "ssim": -0.0006, "sam": 0.0}, False),
        ({"psnr": 0.0, "ssim": 0.0, "sam": 0.051}, False),
        ({"psnr": 0.0, "ssim": 0.0}, False),  # of the angle nothing is known
    ],
)
@pytest.mark.parametrize("net", [Repeat(), KeepsDigits()], ids=["silent", "declared"])
def test_what_the_card_has_measured_counts_more_than_the_class(
    net: Repeat, losses: dict[str, float], used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "bfloat16_gains", lambda device_type: True)
    assert uses_bfloat16("auto", net, CPU, losses) == used
    assert not uses_bfloat16("float32", net, CPU, losses)
    assert uses_bfloat16("bfloat16", net, CPU, losses)
    monkeypatch.setattr(module, "bfloat16_gains", lambda device_type: False)
    assert not uses_bfloat16("auto", net, CPU, losses)


def test_networks_in_other_number_types_stay_in_them() -> None:
    for dtype in (torch.float64, torch.bfloat16):
        model = Model(KeepsDigits(), precision="bfloat16").to(dtype)
        assert model.predict(lr_hsi=torch.rand(1, 3, 4, 4)).dtype == dtype
        assert model.net.worked_in == dtype


def test_unknown_precision(tiny_weights: Path) -> None:
    for call in (lambda p: load_model(tiny_weights, precision=p), lambda p: Model(Repeat(), precision=p)):
        with pytest.raises(InputError, match="precision 'bfloat61'; did you mean 'bfloat16'"):
            call("bfloat61")


def test_the_choice_is_the_models(tiny_weights: Path) -> None:
    x = torch.rand(1, 3, 8, 8)
    single, mixed = (load_model(tiny_weights, precision=p) for p in ("float32", "bfloat16"))
    assert (single.precision, mixed.precision) == ("float32", "bfloat16")
    assert not torch.equal(single.predict(lr_msi=x), mixed.predict(lr_msi=x))
    again = mixed.with_precision("float32")
    assert again.net is mixed.net
    assert torch.equal(again.predict(lr_msi=x), single.predict(lr_msi=x))


AVX512 = {"avx512_bf16": True, "amx_bf16": False}
AMX = {"avx512_bf16": True, "amx_bf16": True}


@pytest.mark.parametrize(
    ("capabilities", "vectors", "limits", "gains"),
    [
        ({"avx2": True, "avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, "AVX512", {}, False),
        (AVX512, "AVX512", {}, True),
        (AMX, "AVX512", {}, True),
        ({"neon": True}, "DEFAULT", {}, False),
        ({}, "AVX2", {}, False),
        (AMX, "AVX2", {}, False),  # what ATEN_CPU_CAPABILITY says
        (AMX, "DEFAULT", {}, False),
        (AVX512, "AVX512", {"ONEDNN_MAX_CPU_ISA": "AVX2"}, False),
        (AMX, "AVX512", {"ONEDNN_MAX_CPU_ISA": "avx512_core_vnni"}, False),
        (AMX, "AVX512", {"DNNL_MAX_CPU_ISA": "AVX512_CORE"}, False),
        (AMX, "AVX512", {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16", "DNNL_MAX_CPU_ISA": "AVX2"}, True),
        (AMX, "AVX512", {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_AMX"}, True),
        (AVX512, "AVX512", {"ONEDNN_MAX_CPU_ISA": "anything"}, True),  # as oneDNN, which takes no notice of it
    ],
)
def test_the_processor_and_its_limits_decide_not_the_clock(
    capabilities: dict[str, bool],
    vectors: str,
    limits: dict[str, str],
    gains: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(instructions, "capabilities", lambda: capabilities)
    monkeypatch.setattr(instructions, "vectors", lambda: vectors)
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in limits.items():
        monkeypatch.setenv(name, value)
    usable = describe_machine()
    assert (usable["avx512_bf16"] or usable["amx_bf16"], usable["vectors"]) == (gains, vectors)
    assert bfloat16_gains("cpu") == gains
    assert training_precision("cpu") == ("bf16-mixed" if gains else "32-true")
    chosen = "bfloat16" if gains else "float32"
    assert Model(KeepsDigits()).arithmetic == Model(KeepsDigits()).with_resolved_precision().precision == chosen
    assert Model(Repeat()).arithmetic == "float32"
    assert Model(KeepsDigits()).to(torch.float64).arithmetic == "float64"
    assert not bfloat16_gains("mps")


def test_a_pytorch_that_reports_nothing_means_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not bfloat16_gains("cpu")


@pytest.mark.data
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", ["jssunet-cave-x4", "jssunet-photo-x4", "sspsr-cave-x4", "mstpp-cave"])
def test_bfloat16_costs_next_to_nothing_on_real_scenes(name: str, real_images: Path) -> None:
    """The middles of three validation scenes of CAVE."""
    model = load_model(name, precision="float32")
    assert keeps_its_digits(model.card.bfloat16)
    (given,) = model.inputs
    scenes = ["balloons", "cloth", "fake_and_real_food"]
    source = open_scenes("cave", scenes)
    full_scale = float(source.attributes["full_scale"])
    response = get_sensor(model.card.sensor).response(source.wavelengths)
    degradation = {key: value for key, value in model.card.degradation.items() if key != "scale"}
    totals = {precision: MetricAccumulator(scale=model.scale) for precision in ("float32", "bfloat16")}
    for scene in scenes:
        middle = source.read(scene)[:, 192:320, 192:320]
        image = DegradedScene(scene, middle, full_scale, model.scale, degradation).whole(response)
        for precision, total in totals.items():
            total.update(model.with_precision(precision).predict(**{given: image[given]}), image["hr_hsi"], names=scene)
    single, mixed = (total.compute().means for total in totals.values())
    assert single != mixed
    assert mixed["psnr"] == pytest.approx(single["psnr"], abs=0.01)
    assert mixed["ssim"] == pytest.approx(single["ssim"], abs=0.0005)
    assert mixed["sam"] == pytest.approx(single["sam"], abs=0.05)

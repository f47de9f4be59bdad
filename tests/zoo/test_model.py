"""Predicting, saving and loading."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from finewave.systems.base import SRNetwork
from finewave.systems.registry import create_model
from finewave.warnings import FinewaveWarning
from finewave.zoo.model import Model, load_model


@pytest.fixture(scope="module")
def model(tiny_weights: Path) -> Model:
    return load_model(tiny_weights)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "tiny needs the input lr_msi; given: none"),
        ({"lr_mis": torch.rand(1, 3, 8, 8)}, "unknown input of tiny 'lr_mis'; did you mean 'lr_msi'"),
        ({"lr_msi": torch.rand(1, 4, 8, 8)}, r"lr_msi has 4 bands; tiny expects 3 \(R, G, B\)"),
        ({"lr_msi": torch.rand(3, 8, 8)}, r"shape \(3, 8, 8\).*x\[None\]"),
        ({"lr_msi": torch.rand(8)}, r"shape \(8,\)"),
        ({"lr_msi": torch.zeros(1, 3, 8, 8, dtype=torch.uint8)}, "torch.uint8"),
        ({"lr_msi": torch.rand(1, 3, 8, 8).numpy()}, "ndarray"),
        ({"lr_msi": torch.rand(1, 3, 0, 8)}, "no pixels"),
    ],
)
def test_inputs_that_do_not_fit(model: Model, inputs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model.predict(**inputs)


class Fusion(SRNetwork):
    """The smallest network with two aligned inputs and a size multiple."""

    task, size_multiple = "fusion", 2
    scale, ms_bands, hs_bands = 3, 2, 4

    def __init__(self) -> None:
        super().__init__()
        self.mix = torch.nn.Conv2d(2, 4, 1)

    def forward(self, lr_hsi: torch.Tensor, hr_msi: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.interpolate(lr_hsi, scale_factor=3.0) + self.mix(hr_msi)


def test_two_inputs_must_belong_together() -> None:
    model = Model(Fusion())
    low, high = torch.rand(2, 4, 4, 6), torch.rand(2, 2, 12, 18)
    assert model.predict(lr_hsi=low, hr_msi=high).shape == (2, 4, 12, 18)
    with pytest.raises(ValueError, match="12 x 18 are expected"):
        model.predict(lr_hsi=low, hr_msi=high[:, :, :10])
    with pytest.raises(ValueError, match="lr_hsi has 2 images and hr_msi has 1"):
        model.predict(lr_hsi=low, hr_msi=high[:1])
    with pytest.raises(ValueError, match="multiples of 2"):
        model.predict(lr_hsi=low[:, :, :3], hr_msi=high[:, :, :9])


def test_a_hole_in_either_input_is_a_hole_in_the_output() -> None:
    low, high = torch.rand(1, 4, 4, 4), torch.rand(1, 2, 12, 12)
    low[0, 1, 0, 0] = float("nan")
    high[0, 0, 11, 11] = float("inf")
    with (
        pytest.warns(FinewaveWarning, match="1 of 16 pixels"),
        pytest.warns(FinewaveWarning, match="1 of 144"),
    ):
        output = Model(Fusion()).predict(lr_hsi=low, hr_msi=high)
    expected = torch.zeros(1, 4, 12, 12, dtype=torch.bool)
    expected[:, :, :3, :3] = expected[:, :, 11, 11] = True
    assert torch.equal(torch.isnan(output), expected)


def test_far_from_a_hole_the_output_is_as_without_it() -> None:
    # without the channel attention's pooling over the image, so that influence ends somewhere
    class Convolution(SRNetwork):
        task, ms_bands = "ssr", 3

        def __init__(self) -> None:
            super().__init__()
            self.mix = torch.nn.Conv2d(3, 5, 5, padding=2)

        def forward(self, hr_msi: torch.Tensor) -> torch.Tensor:
            return self.mix(hr_msi)

    model = Model(Convolution())
    image = torch.rand(1, 3, 20, 20)
    whole = model.predict(hr_msi=image)
    image[0, 2, 10, 10] = float("nan")
    with pytest.warns(FinewaveWarning, match="NaN"):
        holed = model.predict(hr_msi=image)
    difference = (holed - whole).abs()
    assert torch.isnan(difference).sum() == 5
    difference[:, :, 8:13, 8:13] = 0
    assert difference.max() < 1e-5
    assert (holed - whole).abs().nan_to_num().max() > 0


def test_all_pixels_without_value(model: Model) -> None:
    with pytest.warns(FinewaveWarning):
        assert torch.isnan(model.predict(lr_msi=torch.full((1, 3, 4, 4), float("nan")))).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_float_goes_in_and_the_networks_comes_out(model: Model, dtype: torch.dtype) -> None:
    image = torch.rand(1, 3, 6, 6)
    output = model.predict(lr_msi=image.to(dtype))
    assert output.dtype == torch.float32
    assert (output - model.predict(lr_msi=image)).abs().mean() < 0.02


def test_predict_leaves_the_network_as_it_was() -> None:
    net = create_model("jssunet", features=8, stages=1, scale=2).train()
    image = torch.rand(1, 3, 8, 8, requires_grad=True)
    output = Model(net).predict(lr_msi=image)
    assert net.training
    assert not output.requires_grad
    assert torch.equal(output, Model(net).predict(lr_msi=image))


def test_to_another_dtype(tiny_weights: Path) -> None:
    model = load_model(tiny_weights).to(torch.float64)
    assert model.predict(lr_msi=torch.rand(1, 3, 6, 6)).dtype == torch.float64


def test_loading_leaves_random_numbers_alone(tiny_weights: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_model(tiny_weights)
    assert torch.equal(torch.rand(3), expected)


def test_bfloat16_on_disk_is_float32_in_use(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "half", dtype=torch.bfloat16)
    full = sum(p.numel() * 4 for p in model.net.parameters())
    assert (tmp_path / "half" / "model.safetensors").stat().st_size < 0.8 * full
    loaded = load_model(tmp_path / "half")
    assert {p.dtype for p in loaded.net.parameters()} == {torch.float32}
    image = torch.rand(1, 3, 6, 6)
    assert (loaded.predict(lr_msi=image) - model.predict(lr_msi=image)).abs().mean() < 0.05


def test_saving_replaces_whole_and_leaves_nothing_else(model: Model, tmp_path: Path) -> None:
    for _ in range(2):
        model.save(tmp_path / "weights")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["weights"]
        names = sorted(p.name for p in (tmp_path / "weights").iterdir())
        assert names == ["card.json", "model.safetensors"]
    with pytest.raises(ValueError, match="does not exist"):
        model.save(tmp_path / "nowhere" / "weights")


def test_failure_while_saving_leaves_nothing(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("finewave.zoo.model.write_weights", fail)
    with pytest.raises(OSError, match="No space left"):
        model.save(tmp_path / "weights")
    assert list(tmp_path.iterdir()) == []

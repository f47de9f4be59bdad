"""Commands that put others beside us: with a stand-in for public code, and extrapolation by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.public_code import main, public_network
from benchmarks.sentinel2_tile import whole_tile_seconds
from finewave.errors import InputError

STAND_IN = """
from torch import nn
from tests.systems.sspsr.test_sspsr import public, tiny

class Theirs(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.net = tiny(scale=scale, shared=True, blocks=2).eval()

    def state_dict(self, *arguments, **options):
        return public(self.net)

    def forward(self, image, enlarged):
        assert enlarged.shape[-1] == 2 * image.shape[-1]
        return image, self.net(image)
"""


def test_a_public_network_is_run_beside_ours_with_its_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stand_in_of_sspsr.py").write_text(STAND_IN)
    arguments = [str(tmp_path), "stand_in_of_sspsr:Theirs", "sspsr", "--public", '{"scale": 2}']
    main([*arguments, "--ours", '{"overlap": 1}', "--size", "8", "--enlarged"])
    assert float(capsys.readouterr().out.rsplit("difference", 1)[1]) < 1e-5


def test_what_is_not_public_code_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a folder with the public code"):
        public_network(tmp_path / "absent", "a:B", {})
    with pytest.raises(InputError, match="module:Class"):
        public_network(tmp_path, "a", {})


def test_a_whole_tile_has_whole_tiles_of_ours() -> None:
    assert whole_tile_seconds(2.0, 512, 10) == 2.0 * 22**2  # 10,980 pixels are 21.4 tiles
    assert whole_tile_seconds(2.0, 512, 20) == 2.0 * 11**2

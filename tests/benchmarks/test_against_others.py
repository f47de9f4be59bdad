"""Commands that put others beside us: with stand-ins for public code, and extrapolation by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.public_code import main, public_network
from benchmarks.sentinel2_tile import whole_tile_seconds
from finewave.errors import InputError

STAND_IN = """
from torch import nn
{imports}

class Theirs(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.net = {net}.eval()

    def state_dict(self, *arguments, **options):
        return {weights}

    def forward(self, image{more}):
        return {output}
"""
JSSUNET = {
    "imports": "from tests.systems.jssunet.test_jssunet_reference import public_network, small",
    "net": "small(**options)",
    "weights": "public_network(self.net)",
    "more": "",
    "output": "self.net(image)",
}
MSTPP = {
    "imports": "from tests.systems.mstpp.test_mstpp import public, tiny",
    "net": "tiny(**options)",
    "weights": "public(self.net)",
    "more": "",
    "output": "self.net(image)",
}
SSPSR = {
    "imports": "from tests.systems.sspsr.test_sspsr import public, tiny",
    "net": "tiny(shared=True, blocks=2, **options)",
    "weights": "public(self.net)",
    "more": ", enlarged",
    "output": "(image, self.net(image)) if enlarged.shape[-1] == 2 * image.shape[-1] else None",
}
US3RN = {
    "imports": "from tests.systems.us3rn.test_us3rn import public, tiny",
    "net": "tiny(corrections=3, **options)",
    "weights": "public(self.net)",
    "more": "",
    "output": "[self.net(image)]",
}


@pytest.mark.parametrize(
    ("system", "parts", "options"),
    [
        ("jssunet", JSSUNET, []),
        ("mst++", MSTPP, []),
        ("sspsr", SSPSR, ["--public", '{"scale": 2}', "--ours", '{"overlap": 1}', "--enlarged"]),
        ("us3rn", US3RN, ["--public", '{"scale": 4}', "--output", "0"]),
    ],
)
def test_a_public_network_is_run_beside_ours_with_its_weights(
    system: str, parts: dict[str, str], options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"stand_in_of_{system.rstrip('+')}"
    (tmp_path / f"{name}.py").write_text(STAND_IN.format(**parts))
    main([str(tmp_path), f"{name}:Theirs", system, "--size", "8", *options])
    assert float(capsys.readouterr().out.rsplit("difference", 1)[1]) < 1e-5


@pytest.mark.slow
def test_plain_formulations_stand_for_public_code(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--plain", "--size", "16"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(",")[0] for line in lines] == ["jssunet-cave-x4", "mstpp-cave", "sspsr-cave-x4", "us3rn"]
    assert all(float(line.rsplit("float32", 1)[1]) < 1e-4 for line in lines)


def test_what_is_not_public_code_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a folder with the public code"):
        public_network(tmp_path / "absent", "a:B", {})
    with pytest.raises(InputError, match="module:Class"):
        public_network(tmp_path, "a", {})
    with pytest.raises(SystemExit):
        main([str(tmp_path)])


def test_a_whole_tile_has_whole_tiles_of_ours() -> None:
    assert whole_tile_seconds(2.0, 512, 10) == 2.0 * 22**2  # 10,980 pixels are 21.4 tiles
    assert whole_tile_seconds(2.0, 512, 20) == 2.0 * 11**2

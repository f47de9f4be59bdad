"""Trained weights by name: in a folder, in a checkout, fetched; and what is said where there are none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

import finewave as fw
from finewave.errors import InputError
from finewave.zoo.distribution import bundled_weights
from finewave.zoo.distribution.bundled_weights import CARD, WEIGHTS
from tests.cli.command_line import run

NAME = "tiny-x2"


@pytest.fixture(autouse=True)
def nothing_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No checkout and an empty cache."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(bundled_weights, "_package", lambda: tmp_path / "site-packages" / "finewave")
    monkeypatch.setattr(bundled_weights, "checkout", lambda: None)
    for variable in ("FINEWAVE_WEIGHTS", "FINEWAVE_WEIGHTS_URL"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def installed_card(tiny_weights: Path, tmp_path: Path) -> Path:
    """The card of weights that an installation knows without having them."""
    folder = tmp_path / "site-packages" / "finewave" / "_weights" / NAME
    folder.mkdir(parents=True)
    card = json.loads((tiny_weights / CARD).read_text()) | {"name": NAME}
    (folder / CARD).write_text(json.dumps(card))
    return folder / CARD


@pytest.fixture
def release(tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file at the address of a release."""
    folder = tmp_path / "release"
    folder.mkdir()
    monkeypatch.setenv("FINEWAVE_WEIGHTS_URL", folder.as_uri() + "/")
    return Path(shutil.copy(tiny_weights / WEIGHTS, folder / f"{NAME}.safetensors"))


def same(name: str, folder: Path) -> bool:
    x = torch.rand(1, 3, 6, 5)
    return torch.equal(fw.load_model(name).predict(lr_msi=x), fw.load_model(folder).predict(lr_msi=x))


def test_a_folder_of_folders(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINEWAVE_WEIGHTS", str(tiny_weights.parent))
    assert fw.list_models(trained=True) == ["tiny"]
    assert same("tiny", tiny_weights)


def test_the_folder_of_the_variable_comes_before_the_checkout(
    tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundled_weights, "checkout", lambda: tmp_path)
    shutil.copytree(tiny_weights, tmp_path / "weights" / "tiny")
    assert bundled_weights.weight_folders() == {"tiny": tmp_path / "weights" / "tiny"}
    monkeypatch.setenv("FINEWAVE_WEIGHTS", str(tiny_weights.parent))
    assert bundled_weights.weight_folders() == {"tiny": tiny_weights}


@pytest.mark.usefixtures("installed_card")
def test_weights_are_fetched_once(tiny_weights: Path, release: Path) -> None:
    assert fw.list_models(trained=True) == [NAME]
    assert same(NAME, tiny_weights)
    release.unlink()
    assert same(NAME, tiny_weights)
    assert fw.load_model(NAME).name == NAME


@pytest.mark.usefixtures("installed_card")
def test_other_weights_are_refused_and_not_kept(release: Path, tmp_path: Path) -> None:
    content = bytearray(release.read_bytes())
    content[-1] ^= 1
    release.write_bytes(content)
    with pytest.raises(InputError, match="other weights than this version of finewave expects: sha256") as refused:
        fw.load_model(NAME)
    assert "\n" not in str(refused.value)
    assert not [path for path in (tmp_path / "home").rglob("*") if path.is_file()]


@pytest.mark.usefixtures("installed_card")
@pytest.mark.parametrize("address", [None, "nonsense", "ftp://", "http://{nobody}/none", "http://a b"])
def test_an_address_without_them(
    address: str | None, release: Path, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    release.unlink()
    if address:
        monkeypatch.setenv("FINEWAVE_WEIGHTS_URL", address.format(nobody=nobody))
    with pytest.raises(InputError, match=rf"cannot be fetched from .*FINEWAVE_WEIGHTS.*{NAME}/{WEIGHTS}") as refused:
        fw.load_model(NAME)
    assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("installed_card")
def test_without_weights_and_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert fw.list_models(trained=True) == []
    with pytest.raises(InputError, match=r"not on this machine: clone the repository.*FINEWAVE_WEIGHTS") as refused:
        fw.load_model(NAME)
    assert "\n" not in str(refused.value)
    monkeypatch.setenv("FINEWAVE_WEIGHTS", str(tmp_path))
    with pytest.raises(InputError, match=rf"it is {tmp_path}"):
        fw.load_model(NAME)
    with pytest.raises(InputError, match=f"did you mean.*{NAME}"):
        fw.load_model("tiny-x3")
    printed = run("models")
    assert printed.exit_code == 0
    assert f"not on this machine: weights {NAME}; clone the repository" in printed.output


@pytest.mark.usefixtures("installed_card")
def test_a_folder_of_that_name_is_taken(tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(tiny_weights, tmp_path / "work" / NAME)
    monkeypatch.chdir(tmp_path / "work")
    assert same(NAME, tiny_weights)

"""What a user may get wrong: exit status 2, one line that helps, nothing under the output's name."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import torch
from safetensors.torch import load_file, save_file

from tests.cli.command_line import assert_refused, run
from tests.fork_server import ForkServer


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out.tif"


def assert_nothing_left(output: Path) -> None:
    assert not output.exists()
    assert not [p for p in output.parent.iterdir() if output.name in p.name]


def refuse(source: Path, output: Path, model: Path | str, *words: str) -> None:
    assert_refused(run("predict", source, "-o", output, "--model", model), *words)
    if output.parent.is_dir():
        assert_nothing_left(output)


def test_missing_file(tmp_path: Path, output: Path, tiny_weights: Path) -> None:
    refuse(tmp_path / "nowhere.tif", output, tiny_weights, "no such file", "nowhere.tif")


def test_text_named_tif(tmp_path: Path, output: Path, tiny_weights: Path) -> None:
    source = tmp_path / "text.tif"
    source.write_text("this is not an image\n" * 20)
    refuse(source, output, tiny_weights, "text.tif")


@pytest.mark.parametrize("suffix", [".tif", ".mat", ".png", ".h5", ".nc", ".jpg"])
def test_empty_file(suffix: str, tmp_path: Path, output: Path, tiny_weights: Path) -> None:
    source = tmp_path / f"empty{suffix}"
    source.touch()
    refuse(source, output, tiny_weights, f"empty{suffix}", "empty")


def test_truncated_tiff(georeferenced: Path, output: Path, tiny_weights: Path) -> None:
    _truncate(georeferenced)
    refuse(georeferenced, output, tiny_weights, georeferenced.name)


def test_truncated_png(photograph: Path, output: Path, tiny_weights: Path) -> None:
    _truncate(photograph)
    refuse(photograph, output, tiny_weights, photograph.name)


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_truncated_mat(version: str, tmp_path: Path, output: Path, tiny_weights: Path) -> None:
    source = tmp_path / "cube.mat"
    cube = np.random.default_rng(0).random((5, 6, 3))
    if version == "5":
        scipy.io.savemat(source, {"cube": cube})
    else:
        with h5py.File(source, "w", userblock_size=512) as file:
            file["cube"] = cube
    _truncate(source)
    refuse(source, output, tiny_weights, "cube.mat")


def test_one_dimensional_array(tmp_path: Path, output: Path, tiny_weights: Path) -> None:
    source = tmp_path / "spectrum.h5"
    with h5py.File(source, "w") as file:
        file["spectrum"] = np.linspace(0, 1, 31)
    refuse(source, output, tiny_weights, "spectrum.h5")


def test_wrong_band_count(tmp_path: Path, output: Path, tiny_weights: Path) -> None:
    from finewave.io.open_save import save_scene
    from finewave.scene import make_scene

    source = tmp_path / "four.tif"
    save_scene(make_scene(np.full((4, 5, 5), 0.5, np.float32), wavelengths=[490, 560, 665, 842]), source)
    expected = "scene has 4 bands (490, 560, 665, 842 nm); tiny expects 3 (R, G, B)"
    refuse(source, output, tiny_weights, expected)


def test_unknown_model(photograph: Path, output: Path) -> None:
    refuse(photograph, output, "jssunet-cave-x44", "unknown trained model 'jssunet-cave-x44'")
    refuse(photograph, output, "no/such/folder", "no such file or folder", "no/such/folder")


def test_system_without_weights(photograph: Path, output: Path) -> None:
    refuse(photograph, output, "jssunet", "without weights")


def test_weights_of_another_network(photograph: Path, output: Path, tiny_weights: Path, tmp_path: Path) -> None:
    folder = _copy(tiny_weights, tmp_path)
    tensors = load_file(folder / "model.safetensors")
    first = sorted(tensors)[0]
    save_file({**tensors, "extra.weight": torch.zeros(3)}, folder / "model.safetensors")
    refuse(photograph, output, folder, "does not fit its card", "'extra.weight'")
    save_file({k: v for k, v in tensors.items() if k != first}, folder / "model.safetensors")
    refuse(photograph, output, folder, "does not fit its card", repr(first))
    save_file({**tensors, first: torch.zeros(1, 2, 3)}, folder / "model.safetensors")
    refuse(photograph, output, folder, "does not fit its card", repr(first), "(1, 2, 3)")


def test_weights_changed_or_cut_short(photograph: Path, output: Path, tiny_weights: Path, tmp_path: Path) -> None:
    folder = _copy(tiny_weights, tmp_path)
    tensors = load_file(folder / "model.safetensors")
    save_file({k: v + 1 for k, v in tensors.items()}, folder / "model.safetensors")
    refuse(photograph, output, folder, "does not fit its card", "sha256")
    _truncate(folder / "model.safetensors")
    refuse(photograph, output, folder, "model.safetensors", "damaged")


def test_card_missing_or_incomplete(photograph: Path, output: Path, tiny_weights: Path, tmp_path: Path) -> None:
    folder = _copy(tiny_weights, tmp_path)
    card = folder / "card.json"
    card.write_text(card.read_text().replace('"sha256"', '"sha"'))
    refuse(photograph, output, folder, "card.json", "'sha256'")
    card.write_text("{")
    refuse(photograph, output, folder, "card.json", "JSON")
    card.unlink()
    refuse(photograph, output, folder, "card.json", "missing")


def test_output_folder_missing(photograph: Path, tmp_path: Path, tiny_weights: Path) -> None:
    refuse(photograph, tmp_path / "nowhere" / "out.tif", tiny_weights, "nowhere", "does not exist")


def test_output_below_a_file(photograph: Path, tiny_weights: Path) -> None:
    # unwritable for everybody, the super-user included
    refuse(photograph, photograph / "out.tif", tiny_weights, "is a file, not a folder")


def test_output_folder_not_writable(
    photograph: Path, output: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(output))

    monkeypatch.setattr("tempfile.mkdtemp", refused)
    refuse(photograph, output, tiny_weights, "permission denied")


def test_output_is_a_folder(photograph: Path, output: Path, tiny_weights: Path) -> None:
    output.mkdir()
    assert_refused(run("predict", photograph, "-o", output, "--model", tiny_weights), "is a folder")
    assert list(output.iterdir()) == []


def test_disk_without_space(
    photograph: Path, output: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(output))

    monkeypatch.setattr("finewave.io.atomic._publish", no_space)
    refuse(photograph, output, tiny_weights, "disk is full")


def test_disk_that_fills_up_while_writing(
    photograph: Path, output: Path, tiny_weights: Path, fork_server: ForkServer
) -> None:
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000));"
        "from finewave.cli import main; main(sys.argv[1:])"
    )
    done = fork_server.run(code, "predict", photograph, "-o", output, "--model", tiny_weights)
    assert done.returncode == 2, done.stderr
    assert [line[:7] for line in done.stderr.splitlines() if not line.startswith("warning: ")] == ["error: "]
    assert_nothing_left(output)


def test_unknown_output_format(photograph: Path, tmp_path: Path, tiny_weights: Path) -> None:
    refuse(photograph, tmp_path / "out.tiv", tiny_weights, "'.tiv'", "did you mean '.tif'")
    refuse(photograph, tmp_path / "out", tiny_weights, "no extension")


def test_failure_keeps_an_older_output(photograph: Path, output: Path, tiny_weights: Path) -> None:
    output.write_bytes(b"older result")
    _truncate(photograph)
    assert_refused(run("predict", photograph, "-o", output, "--model", tiny_weights))
    assert output.read_bytes() == b"older result"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["predict"], "Missing argument"),
        (["predict", "a.tif"], "--output"),
        (["predct"], "No such command"),
        (["predict", "a.tif", "-o", "b.tif", "--model", "m", "--quick"], "--quick"),
        (["train", "no-such-recipe"], "no-such-recipe"),
        (["train", "jssunet-cave-x4", "model.featurs=64"], "did you mean 'model.features'"),
        (["data", "prepare", "cav", "--from", "x"], "did you mean 'cave'"),
        (["data", "prepare", "cave", "--from", "/nowhere"], "/nowhere"),
        (["data", "download", "cav"], "did you mean 'cave'"),
        (["evaluate", "--model", "jsunet", "--dataset", "cave"], "jsunet"),
        (
            ["evaluate", "--model", "knn", "--dataset", "cave", "--folds", "4", "--split", "val"],
            "--split has no meaning",
        ),
        (["evaluate", "--model", "knn", "--dataset", "../cave", "--folds", "4"], "unknown dataset '../cave'"),
        (["calibrate", "knn", "--folds", "4", "--split", "val"], "--split has no meaning"),
        (["study", "anchors", "--model", "knn", "--folds", "4", "--split", "val"], "--split has no meaning"),
        (["demo", "--model", "jsunet"], "jsunet"),
    ],
)
def test_bad_usage(arguments: list[str], word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(run(*arguments), word)
    assert list(tmp_path.iterdir()) == []


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _copy(weights: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(weights, tmp_path / "weights"))

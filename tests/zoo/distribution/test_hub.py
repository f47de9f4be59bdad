"""Sharing: folders, and a stand-in of the Hub on 127.0.0.1; nothing here leaves the machine."""

from __future__ import annotations

import ast
import json
import os
import pickle
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from finewave.errors import InputError
from finewave.io.open_save import save_scene
from finewave.scene import make_scene
from finewave.systems.registry import create_model
from finewave.zoo.card import Card
from finewave.zoo.distribution import hub as hub_module
from finewave.zoo.distribution.bundled_weights import CARD, WEIGHTS, weight_folders
from finewave.zoo.model import Model, load_model
from finewave.zoo.readme import readme_of
from tests.fork_server import ForkServer
from tests.zoo.hub_server import TOKEN, Hub, Repository, running_hub

NAME = "somebody/tiny-x2"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A Hub that huggingface_hub takes for the real one, and an empty cache."""
    from huggingface_hub import constants

    with running_hub() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        # the stand-in speaks git LFS, not the binary protocol of the Hub's own storage
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield server


@pytest.fixture
def model(tiny_weights: Path) -> Model:
    return load_model(tiny_weights)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def one_line(error: pytest.ExceptionInfo[BaseException]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


def metadata(page: str) -> dict[str, Any]:
    front = re.match(r"---\n(.*?)\n---\n\n# ", page, re.DOTALL)
    assert front
    return yaml.safe_load(front[1])


# --- Folders ------------------------------------------------------------------------------------------------------


def test_folder_has_weights_card_and_page(model: Model, tmp_path: Path) -> None:
    folder = model.save_pretrained(tmp_path / "shared", licence="CC-BY-4.0", notes="For tests.")
    assert sorted(files_of(folder)) == ["README.md", CARD, WEIGHTS]
    loaded = load_model(folder)
    x = torch.rand(1, 3, 5, 6)
    assert torch.equal(loaded.predict(lr_msi=x), model.predict(lr_msi=x))
    page = (folder / "README.md").read_text()
    facts = metadata(page)
    assert (facts["library_name"], facts["license"], facts["pipeline_tag"]) == (
        "finewave",
        "cc-by-4.0",
        "image-to-image",
    )
    assert {"jssunet", "sssr", "x2"} <= set(facts["tags"])
    for told in ("For tests.", "R 600 nm", "nikon-d5100", "31, 400 to 700 nm", loaded.card.sha256):
        assert told in page


def test_page_is_written_anew(model: Model, tmp_path: Path) -> None:
    for notes in ("First words.", "Other words."):
        model.save_pretrained(tmp_path / "shared", notes=notes)
    page = (tmp_path / "shared" / "README.md").read_text()
    assert "Other words." in page
    assert "First words." not in page


def test_figures_of_the_card_are_in_the_metadata() -> None:
    card = Card.read(weight_folders()["jssunet-cave-x4"] / CARD)
    page = readme_of(card, "owner/name")
    assert 'fw.load_model("hf:owner/name")' in page
    facts = metadata(page)
    (result,) = facts["model-index"][0]["results"]
    figures = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert figures == card.metrics["cave/val"]["mean"]
    assert result["dataset"] == {"type": "cave", "name": "cave", "split": "val"}
    assert f"| cave/val | {figures['psnr']:.4g} |" in page
    assert facts["datasets"] == ["cave"]


def test_hub_library_accepts_the_metadata() -> None:
    """The library that the Hub itself comes with finds licence, tags and every figure in the page."""
    from huggingface_hub import ModelCard

    card = Card.read(weight_folders()["jssunet-cave-x4"] / CARD)
    data = ModelCard(readme_of(card)).data
    assert data.library_name == "finewave"
    assert data.license == "apache-2.0"
    assert {result.metric_type: result.metric_value for result in data.eval_results} == card.metrics["cave/val"]["mean"]


def test_licence_that_the_hub_does_not_know(model: Model) -> None:
    assert model.card is not None
    facts = metadata(readme_of(model.card.with_facts(licence="For the members of our club")))
    assert (facts["license"], facts["license_name"]) == ("other", "for the members of our club")
    assert "license" not in metadata(readme_of(model.card.with_facts(licence=None)))


def test_folder_with_a_pickle_alone(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": 1}))
    with pytest.raises(InputError, match=r"pickled \(pytorch_model.bin\)") as error:
        load_model(tmp_path)
    one_line(error)


# --- There and back -----------------------------------------------------------------------------------------------


def test_push_and_load(model: Model, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    address = model.push_to_hub(NAME, token=TOKEN, message="First weights", licence="MIT")
    repository = hub.repositories[NAME]
    assert address == f"{hub.url}/{NAME}/commit/{repository.refs['main']}"
    assert repository.messages == ["", "First weights"]
    files = repository.commits[repository.refs["main"]]
    assert {"README.md", CARD, WEIGHTS} <= set(files)
    assert metadata(files["README.md"].decode())["license"] == "mit"
    assert hub.large_files, "the weights went as a large file"

    def no_pickle(*_: Any, **__: Any) -> None:
        raise AssertionError("a pickle was read")

    with monkeypatch.context() as loading:  # Numba's machine code, which predicting may read, is pickled
        loading.setattr(torch, "load", no_pickle)
        loading.setattr(pickle, "load", no_pickle)
        loading.setattr(pickle, "loads", no_pickle)
        loaded = load_model(f"hf:{NAME}")
    x = torch.rand(1, 3, 5, 6)
    assert torch.equal(loaded.predict(lr_msi=x), model.predict(lr_msi=x))
    assert loaded.card is not None
    assert (loaded.card.name, loaded.card.licence) == ("tiny", "MIT")
    fetched = [line for line in hub.requests if "/resolve/" in line and line.startswith("GET")]
    assert sorted(Path(line).name for line in fetched) == [CARD, WEIGHTS]  # the page is for people


def test_untrained_network_is_named_after_the_repository(hub: Hub) -> None:
    Model(create_model("ridge")).push_to_hub(NAME, token=TOKEN, private=True)
    repository = hub.repositories[NAME]
    assert repository.private
    assert json.loads(repository.commits[repository.refs["main"]][CARD])["name"] == "tiny-x2"


def test_revisions(model: Model, hub: Hub) -> None:
    model.push_to_hub(NAME, token=TOKEN, notes="old")
    first = hub.repositories[NAME].refs["main"]
    hub.repositories[NAME].refs["v1"] = first
    model.push_to_hub(NAME, token=TOKEN, revision="next", notes="next")
    model.push_to_hub(NAME, token=TOKEN, notes="new")
    notes = {which: load_model(f"hf:{NAME}{which}").card.notes for which in ("", "@v1", "@next", f"@{first}")}
    assert notes == {"": "new", "@v1": "old", "@next": "next", f"@{first}": "old"}


def test_cache_serves_without_network(model: Model, hub: Hub, nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    model.push_to_hub(NAME, token=TOKEN)
    load_model(f"hf:{NAME}")
    before = len(hub.requests)
    load_model(f"hf:{NAME}")
    assert not [line for line in hub.requests[before:] if "/resolve/" in line]  # nothing is fetched twice
    monkeypatch.setattr(constants, "ENDPOINT", f"http://{nobody}")
    assert load_model(f"hf:{NAME}").name == "tiny"
    assert list(hub_module.cached()) == [f"hf:{NAME}"]


def test_command_line_with_a_model_on_the_hub(model: Model, hub: Hub, tmp_path: Path, fork_server: ForkServer) -> None:
    """In processes of their own, as users run it: by the variables of huggingface_hub, then without a network."""
    model.push_to_hub(NAME, token=TOKEN)
    values = np.random.default_rng(1).random((3, 12, 10), dtype=np.float32)
    save_scene(make_scene(values, wavelengths=[600.0, 540.0, 460.0]), tmp_path / "scene.tif")
    environment = os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
    code = "import sys; from finewave.cli import main; main(sys.argv[1:])"
    command = ["predict", "scene.tif", "--model", f"hf:{NAME}", "-o"]
    for output, more in (("first.tif", {}), ("second.tif", {"HF_HUB_OFFLINE": "1"})):
        done = fork_server.run(code, *command, output, cwd=tmp_path, env=environment | more)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{output}\n", "")
    assert (tmp_path / "first.tif").read_bytes() == (tmp_path / "second.tif").read_bytes()


def test_models_lists_what_was_fetched(model: Model, hub: Hub) -> None:
    from click.testing import CliRunner

    from finewave.cli import main

    model.push_to_hub(NAME, token=TOKEN)
    assert f"hf:{NAME}" not in CliRunner().invoke(main, ["models"]).output
    load_model(f"hf:{NAME}")
    listed = CliRunner().invoke(main, ["models"])
    assert f" hf:{NAME} " in listed.output, listed.output
    refused = CliRunner().invoke(main, ["predict", "pyproject.toml", "-o", "x.tif", "--model", "hf:somebody/nothing"])
    assert refused.exit_code == 2
    assert refused.stderr.startswith("error: there is no model 'somebody/nothing' on ")
    assert refused.stderr.count("\n") == 1


# --- What can go wrong --------------------------------------------------------------------------------------------


def shared(model: Model, folder: Path) -> dict[str, bytes]:
    """Return the files that a push would bring to the Hub."""
    return files_of(model.save_pretrained(folder / "files"))


@pytest.mark.parametrize("address", ["hf:", "hf:tiny", "hf:a/b/c", "hf:a/b@", "hf:/b", "hf:a/../b", "hf:a/b c"])
def test_address_that_is_none(address: str) -> None:
    with pytest.raises(InputError, match=r"hf:owner/name@revision"):
        load_model(address)


def test_address_that_the_hub_does_not_allow(hub: Hub) -> None:
    with pytest.raises(InputError, match="hf:a/b--c is not an address on the Hub: ") as error:
        load_model("hf:a/b--c")
    one_line(error)
    assert hub.requests == []


def test_no_such_repository(hub: Hub) -> None:
    with pytest.raises(InputError, match=r"no model 'somebody/nothing' on http://127.0.0.1.*spelling") as error:
        load_model("hf:somebody/nothing")
    one_line(error)


def test_private_repository(model: Model, hub: Hub) -> None:
    model.push_to_hub(NAME, token=TOKEN, private=True)
    with pytest.raises(InputError, match=r"or it is private.*log in"):
        load_model(f"hf:{NAME}")


def test_no_such_revision(model: Model, hub: Hub) -> None:
    model.push_to_hub(NAME, token=TOKEN)
    with pytest.raises(InputError, match=rf"'{NAME}' on .* has no branch, tag or commit 'v9'") as error:
        load_model(f"hf:{NAME}@v9")
    one_line(error)


def test_no_network_and_nothing_cached(hub: Hub, nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", f"http://{nobody}")
    with pytest.raises(InputError, match=rf"hf:{NAME} is not in the cache, and http://{nobody} cannot be reached") as e:
        load_model(f"hf:{NAME}")
    one_line(e)
    with pytest.raises(InputError, match=rf"http://{nobody} cannot be reached: ") as e:
        Model(create_model("ridge")).push_to_hub(NAME, token=TOKEN)
    one_line(e)


def test_hub_out_of_order(hub: Hub) -> None:
    hub.failing = 418
    with pytest.raises(InputError, match=r"127.0.0.1") as error:
        load_model(f"hf:{NAME}")
    one_line(error)


@pytest.mark.parametrize("missing", [CARD, WEIGHTS])
def test_repository_without_a_model_of_finewave(model: Model, hub: Hub, tmp_path: Path, missing: str) -> None:
    files = shared(model, tmp_path)
    hub.repositories[NAME] = Repository()
    hub.repositories[NAME].commit({name: content for name, content in files.items() if name != missing})
    with pytest.raises(InputError, match=rf"hf:{NAME} has no model of finewave: {missing} is missing") as error:
        load_model(f"hf:{NAME}")
    one_line(error)


def test_repository_with_pickles_alone(model: Model, hub: Hub, tmp_path: Path) -> None:
    files = shared(model, tmp_path)
    hub.repositories[NAME] = Repository()
    hub.repositories[NAME].commit({CARD: files[CARD], "pytorch_model.bin": pickle.dumps({"weight": 1})})
    with pytest.raises(InputError, match=r"its weights are pickled \(pytorch_model.bin\).*safetensors") as error:
        load_model(f"hf:{NAME}")
    one_line(error)
    assert not any("pytorch_model.bin" in line for line in hub.requests)  # not even fetched


def test_weights_that_do_not_fit_their_card(model: Model, hub: Hub, tmp_path: Path) -> None:
    files = shared(model, tmp_path)
    card = json.loads(files[CARD])
    card["config"]["features"] = 12
    hub.repositories[NAME] = Repository()
    hub.repositories[NAME].commit({**files, CARD: json.dumps(card).encode()})
    with pytest.raises(InputError, match=r"does not fit its card: it has '.*' of shape") as error:
        load_model(f"hf:{NAME}")
    one_line(error)
    other = {key: value + 1 for key, value in model.net.state_dict().items()}
    twin = create_model(model.card.system, **model.card.config)
    twin.load_state_dict(other)
    changed = files_of(Model(twin).save(tmp_path / "other"))
    hub.repositories[NAME].commit({CARD: files[CARD], WEIGHTS: changed[WEIGHTS]})
    with pytest.raises(InputError, match=r"sha256"):
        load_model(f"hf:{NAME}")


def test_push_without_permission(model: Model, hub: Hub) -> None:
    with pytest.raises(InputError, match=r"refuses access to somebody/tiny-x2: log in with a token") as error:
        model.push_to_hub(NAME, token="hf_wrong")
    one_line(error)


def test_push_names_its_branch_apart(model: Model) -> None:
    with pytest.raises(InputError, match=r"revision='next'"):
        model.push_to_hub(f"{NAME}@next")


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"needs the package huggingface_hub.*\[hub\]'"):
        load_model(f"hf:{NAME}")


def test_page_of_a_hostile_card_is_text(model: Model) -> None:
    """No element of HTML, no link, no row and no line of code that the card brings along."""
    from markdown_it import MarkdownIt

    bad = '<script>alert(1)</script> [x](javascript:alert(1)) | ` \\u202e\n# ") ; import os'
    assert model.card is not None
    card = model.card.with_facts(
        notes=bad, licence=bad, sensor=bad, commit=bad, trained=bad, name=bad, data={"dataset": bad, "citation": bad}
    )
    calm = readme_of(
        model.card.with_facts(
            **{
                **dict.fromkeys(("notes", "licence", "sensor", "commit", "trained"), "x"),
                "name": "x",
                "data": {"dataset": "x", "citation": "x"},
            }
        )
    )
    elements = []
    for page in (readme_of(card), calm):
        _, _, body = page.partition("\n---\n")
        elements.append(re.findall(r"<(\w+)", MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(body)))
        (code,) = re.findall(r"```python\n(.*?)```", body, re.DOTALL)
        assert len(ast.parse(code).body) == 2
    assert elements[0] == elements[1]
    assert metadata(readme_of(card))["model-index"] if card.metrics else True

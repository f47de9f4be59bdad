"""``finewave bench``: figures that are measured, and tables that hold what was measured."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import finewave as fw
from benchmarks import measure as worker
from benchmarks import meter, suite
from benchmarks.benchmark_report import page_of, tables_of
from benchmarks.cases import DEFAULT, GROUPS, Case, cases_of, choose_groups, scene_cases, system_cases
from benchmarks.plain import plain_network
from benchmarks.scene_run import _Tiles, watch
from benchmarks.suite import added, measure_apart, read_run, run_suite
from benchmarks.targets import growth_of, ratios_of, scene_targets, shares_of, targets_of
from finewave.inference.tiling.resume import unfinished_folder
from finewave.nn.kernels.fused_conv import fused_conv
from finewave.systems.registry import create_model
from finewave.zoo.flops import flops_of
from tests.cli.command_line import assert_refused, run
from tests.plain.jssunet import PlainJSSUNet

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def few_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time is that of three runs instead of two seconds of them: none is used as a measurement here."""
    monkeypatch.setattr(worker, "timed", partial(meter.timed, budget=0))


# --- Meters -------------------------------------------------------------------------------------------------------


def test_time_is_the_median_of_warm_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([9.0, 1.0, 3.0, 2.0])  # the warm-up is not counted
    monkeypatch.setattr(meter, "seconds_of", lambda *_: next(clock))
    assert meter.timed(lambda: None, CPU, budget=0)["seconds"] == 1.0  # 9 s: once more is enough
    clock = iter([1.0, 1.0, 3.0, 2.0])
    assert meter.timed(lambda: None, CPU, budget=0) == {
        "seconds": 2.0,
        "least_seconds": 1.0,
        "runs": 3,
        "warm_up": True,
    }


def test_flops_of_a_convolution_by_hand() -> None:
    layer, x = nn.Conv2d(3, 5, 3, padding=1, bias=False), torch.rand(2, 3, 7, 8)
    flops = flops_of(lambda: layer(x) + (torch.rand(4, 6) @ torch.rand(6, 9)).sum())
    assert flops["convolutions"] == 2 * 9 * 3 * 5 * 2 * 7 * 8
    assert flops["all"] == flops["convolutions"] + 2 * 4 * 6 * 9


def test_flops_of_fused_convolutions_by_hand() -> None:
    x, conv = torch.rand(2, 3, 7, 8), nn.Conv2d(3, 4, 3, padding=1).eval()
    residual = torch.rand(2, 4, 7, 8)
    by_hand = 2 * 9 * 3 * 4 * 2 * 7 * 8
    with torch.no_grad():
        assert flops_of(lambda: fused_conv(x, conv, relu=True))["convolutions"] == by_hand
        assert flops_of(lambda: fused_conv(x, conv, residual=residual))["convolutions"] == by_hand


def test_flops_of_attention_by_hand() -> None:
    """As if its matrices were written out; the fast kernel makes the scores again for the gradients."""
    q, k, v = (torch.rand(2, 3, n, 8, requires_grad=True) for n in (10, 12, 12))
    product = 2 * 2 * 3 * 10 * 12 * 8
    with torch.no_grad():
        assert flops_of(lambda: functional.scaled_dot_product_attention(q, k, v))["all"] == 2 * product
    assert flops_of(lambda: functional.scaled_dot_product_attention(q, k, v).sum().backward())["all"] == 7 * product


def test_fused_and_plain_networks_have_the_same_flops() -> None:
    """The fast network must not look quick, or slow, for what the counter misses."""
    net = create_model("jssunet", features=8, stages=1, clusters="none", post=False).eval()
    plain = plain_network(net)
    x = torch.rand(1, 3, 5, 4)
    with torch.no_grad():
        counts = [flops_of(lambda each=each: each(x))["convolutions"] for each in (net, plain)]
    assert counts[0] == counts[1] > 0


def test_stages_add_up_to_the_whole() -> None:
    net = nn.ModuleDict({"slow": nn.Conv2d(8, 64, 7), "quick": nn.Identity()})
    x = torch.rand(1, 8, 96, 96)
    stages = meter.stage_seconds(net, lambda: net["quick"](net["slow"](x)), CPU)
    assert set(stages) == {"slow", "quick", "rest"}
    assert stages["slow"] > stages["quick"] >= 0
    assert not net["slow"]._forward_hooks  # taken away again


def test_stages_of_the_fast_network_are_those_of_the_plain_one() -> None:
    net = create_model("jssunet", features=4, stages=1, clusters="none", post=False).eval()
    x = torch.rand(1, 3, 5, 4)
    with torch.no_grad():
        fast, plain = (meter.stage_seconds(each, lambda each=each: each(x), CPU) for each in (net, plain_network(net)))
    assert set(fast) == set(plain) == {"sr", "ssr", "fusion", "rest"}
    assert "run_tile_stage" not in vars(net)  # taken away again


def test_the_profile_names_the_convolution() -> None:
    layer, x = nn.Conv2d(16, 16, 3), torch.rand(1, 16, 64, 64)
    operators = meter.operator_seconds(lambda: layer(x), CPU)
    assert any("conv" in name for name in operators)
    assert list(operators.values()) == sorted(operators.values(), reverse=True)


def test_peak_memory_in_a_process_of_its_own() -> None:
    """The plain head holds windows of every band, 121 values for one: the figure must be that much at least."""
    options = {"network": "jssunet", "device": "cpu", "patch": 3, "size": [96, 96], "hs_bands": 31}
    figures = measure_apart(Case("head", "plain", "float32", options))
    windows = 96 * 96 * 31 * 121 * 4
    assert windows < figures["peak_bytes"] < 6 * windows
    assert figures["seconds"] > 0


def test_a_failure_is_a_result() -> None:
    figures = measure_apart(Case("head", "plain", "float32", {"device": "cpu"}))
    assert figures == {"error": "KeyError: 'hs_bands'"}


# --- What is measured ---------------------------------------------------------------------------------------------


def quick_cases(group: str) -> list[Case]:
    return cases_of("jssunet", (group,), quick=True, plain=True, device="cpu")


@pytest.mark.parametrize("group", DEFAULT)
def test_every_group_measures(group: str) -> None:
    for case in quick_cases(group):
        figures = worker.measure(case)
        assert figures["precision"] in ("float32", "bfloat16"), case.title
        times = [value for key, value in figures.items() if key.endswith("seconds")]
        assert all(seconds > 0 for seconds in times), case.title
        json.dumps(figures)


def test_both_formulations_compute_the_same_in_the_bench() -> None:
    """What is timed as plain is the same network with the same weights."""
    cases = [case for case in quick_cases("forward") if case.precision == "float32"]
    fast, plain = (next(case for case in cases if case.variant == variant) for variant in ("finewave", "plain"))
    outputs = []
    for case in (fast, plain):
        torch.manual_seed(0)
        net = worker._network(case, CPU).eval()
        assert isinstance(net, PlainJSSUNet) == (case.variant == "plain")
        torch.manual_seed(1)
        outputs.append(net(**worker._inputs(net, case, CPU)))
    torch.testing.assert_close(*outputs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"checkpoint": "stages"}])
def test_the_training_step_trains(options: dict[str, Any]) -> None:
    case = next(case for case in quick_cases("train") if case.variant == "finewave")
    torch.manual_seed(0)
    net = worker._network(case, CPU).train()
    before = [p.detach().clone() for p in net.parameters()]
    step, batch = worker._step_of(net, case, CPU), worker._batch(net, case, CPU)
    with worker.recomputing(net, options.get("checkpoint")):
        step(batch)
    moved = [not torch.equal(p, old) for p, old in zip(net.parameters(), before, strict=True)]
    assert np.mean(moved) > 0.9


def test_the_plain_loss_is_the_loss() -> None:
    case = next(case for case in quick_cases("train") if case.variant == "finewave")
    net = worker._network(case, CPU)
    batch = worker._batch(net, case, CPU)
    stages = net.forward_stages(batch["lr_msi"])
    images = (stages.sr, stages.ssr, stages.fusion, batch["hr_msi"], batch["lr_hsi"], batch["hr_hsi"])
    torch.testing.assert_close(worker._plain_loss(*images), worker.phase1_loss(*images, worker.WEIGHTS)[0])


@pytest.mark.parametrize("group", ["forward", "train"])
def test_trained_weights_are_measured_too(group: str, tiny_weights: Path) -> None:
    cases = cases_of(str(tiny_weights), (group,), quick=True, plain=True, device="cpu")
    assert {case.variant for case in cases} == {"finewave"}
    assert worker.measure(cases[0])["seconds"] > 0


def test_groups_by_name() -> None:
    assert choose_groups(None) == DEFAULT
    assert choose_groups("post, head") == ("head", "post")
    assert set(GROUPS) == {*DEFAULT, "compile"}
    with pytest.raises(fw.InputError, match="did you mean 'train'"):
        choose_groups("trian")
    assert choose_groups("workers,defaults", "scenes") == ("defaults", "workers")
    assert choose_groups("ssr", "models") == ("ssr",)
    assert {case.options["network"] for case in system_cases(("fusion",), quick=True, device="cpu")} >= {"gsa", "mulsr"}
    workers = scene_cases(("workers",), quick=False, device="cpu")
    assert [case.options["workers"] for case in workers] == [1, 2]


def test_every_system_has_its_figures() -> None:
    """A forward pass of each; those that may run in bfloat16 also so."""
    cases = system_cases(quick=True, device="cpu")
    assert {case.options["network"] for case in cases} == set(fw.list_models())
    assert [c.options["network"] for c in cases if c.precision == "bfloat16"] == ["jssunet"]
    case = next(case for case in cases if case.options["network"] == "mst++")
    figures = worker.measure(case)
    net = create_model("mst++")
    assert figures["parameters"] == sum(p.numel() for p in net.parameters())
    assert figures["task"] == "ssr"
    with torch.no_grad():
        by_hand = flops_of(lambda: net.eval()(torch.rand(1, 3, 32, 32)))["all"]
    assert figures["flops"]["all"] == by_hand > 0


def test_a_whole_scene_is_measured_with_its_processes() -> None:
    """Peak memory of the process that predicts, not of this one."""
    case = next(case for case in scene_cases(quick=True, device="cpu") if case.options.get("tile") == 16)
    figures = worker.measure(case)
    assert figures["pixels"] == 16 * np.prod(case.options["size"])
    assert 1e8 < figures["peak_bytes"] < 4e9  # PyTorch alone is some hundred megabytes
    phases = [figures[f"{phase}_seconds"] for phase in ("start", "tiles", "file")]
    assert min(phases) > 0
    assert sum(phases) == pytest.approx(figures["seconds"])
    assert figures["processor_seconds"] > figures["cores"] * figures["tiles_seconds"] > 0
    assert phases[0] > 0.5  # PyTorch is loaded in it
    assert 1 <= figures["tiles"] <= 15  # 16 of them, after those that were there at the first look
    assert figures["cores"] > 0


def test_processor_time_is_that_of_all_processes() -> None:
    """One that works for a second in a process of its own, and one that sleeps."""
    work = "import time\nwhile time.process_time() < 1: pass"
    code = f"import subprocess, sys, time; subprocess.run([sys.executable, '-c', {work!r}]); time.sleep(0.5)"
    used: list[float] = []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    watch(subprocess.Popen([sys.executable, "-c", code]), used.append)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert used == sorted(used)
    accounted = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime  # by the system, at their end
    assert 0.9 < used[-1] <= accounted + 0.05  # what ran after the last look is not seen


def test_a_tile_that_nobody_saw_is_part_of_the_start(tmp_path: Path) -> None:
    clock = _Tiles(tmp_path / "result.zarr")
    clock.look(7.0)
    nothing = {"start_seconds": 4.0, "tiles_seconds": 0.0, "file_seconds": 0.0, "tiles": 0, "cores": 0.0}
    assert clock.phases(1.0, 5.0) == nothing
    done = unfinished_folder(tmp_path / "result.zarr") / "done"
    done.mkdir(parents=True)
    (done / "0.json").touch()
    clock.look(7.0)
    since = clock.seen[0][1]
    figures = clock.phases(since - 1, since + 2)
    assert figures["start_seconds"] == pytest.approx(1)
    assert figures["tiles_seconds"] == 0
    assert figures["file_seconds"] == pytest.approx(2)
    clock.seen.append((4, since + 2, 10.0))  # three tiles in two seconds, with three of the processor's
    figures = clock.phases(since - 1, since + 2)
    assert (figures["tiles"], figures["tiles_seconds"], figures["cores"]) == (3, pytest.approx(2), pytest.approx(1.5))


def test_a_scene_that_fails_says_why() -> None:
    case = next(case for case in scene_cases(quick=True, device="cpu") if case.options.get("tile"))
    wrong = Case("scene", precision="best", options={**case.options, "halo": "wide"})
    with pytest.raises(RuntimeError, match="wide"):
        worker.measure(wrong)
    with pytest.raises(RuntimeError, match="float8"):  # the arithmetic is the case's, not chosen anew for each run
        worker.measure(Case("scene", precision="float8", options=case.options))


def test_finewave_is_measured_as_its_commands_run_and_the_plain_one_as_it_comes() -> None:
    """Ratios are against the plain formulation where freed memory is given back, whatever the fast one does."""
    options = {"crop": 128, "batch": 1}
    seconds = {("plain", None): 6.0, ("plain", True): 4.0, ("finewave", None): 2.0, ("finewave", True): 1.0}
    results = []
    for (variant, keeps), value in seconds.items():
        said = {**options, **({"keeps_memory": keeps} if keeps else {})}
        said |= {"times_only": True} if keeps == (variant == "plain" or None) else {}
        figures = {"seconds": value, "peak_bytes": 100, "runs": 3}
        results.append({"group": "forward", "variant": variant, "precision": "float32", "options": said, **figures})
    assert [ratio["faster"] for ratio in ratios_of(results)] == [3.0, 6.0]
    machine = {"amx_bf16": False, "gpu": None}
    whole = next(t for t in targets_of(results, machine) if t["what"] == "whole network, float32, times faster")
    assert whole["measured"] == 6.0


# --- What follows -------------------------------------------------------------------------------------------------


def result(group: str, variant: str, precision: str, seconds: float, peak: int, **options: Any) -> dict[str, Any]:
    figures = {"seconds": seconds, "least_seconds": seconds, "runs": 3, "peak_bytes": peak}
    return {"group": group, "variant": variant, "precision": precision, "options": options, **figures}


RESULTS = [
    {
        "group": "peak",
        "variant": "finewave",
        "precision": "float32",
        "options": {},
        "flops_per_second": {
            "matrix_float32": 2e11,
            "convolution_float32": 3e11,
            "matrix_bfloat16": 4e12,
            "convolution_bfloat16": 3e12,
        },
    },
    result("head", "finewave", "float32", 0.02, 10, patch=5),
    result("head", "plain", "float32", 0.4, 500, patch=5),
    result("post", "finewave", "float32", 1.0, 2**30, hs_bands=31, size=[512, 512]),
    result("post", "plain", "float32", 9.0, 10 * 2**30, hs_bands=31, size=[512, 512]),
    result("post", "finewave", "float32", 4.0, 2 * 2**30, hs_bands=102, size=[1096, 715]),
    {
        **result("forward", "finewave", "float32", 0.5, 7, crop=128),
        "flops": {"all": 1e11, "convolutions": 9e10},
        "operators": {"aten::mkldnn_convolution": 0.45, "aten::add": 0.05},
    },
    result("forward", "plain", "float32", 3.0, 21, crop=128),
    result("forward", "finewave", "bfloat16", 0.1, 7, crop=128),
    {**result("growth", "finewave", "bfloat16", 0.1, 100, crop=128), "pixels": 1},
    {**result("growth", "finewave", "bfloat16", 7.0, 5000, crop=1024), "pixels": 64},
]
AMX = {"amx_bf16": True, "gpu": None}


def test_ratios_and_targets_by_hand() -> None:
    ratios = {(r["group"], r["precision"], r["options"].get("patch")): r for r in ratios_of(RESULTS)}
    assert ratios["head", "float32", 5]["faster"] == pytest.approx(20)
    assert ratios["head", "float32", 5]["smaller"] == pytest.approx(50)
    assert ratios["forward", "bfloat16", None]["faster"] == pytest.approx(30)
    targets = {
        t["what"]: (t["measured"] and pytest.approx(t["measured"]), t["reached"]) for t in targets_of(RESULTS, AMX)
    }
    assert targets == {
        "attention head, P = 5, times faster": (20, True),
        "attention head, P = 11, times faster": (None, None),
        "post-processing at 512 x 512, C = 31, times less memory": (10, False),
        "post-processing at 1096 x 715, C = 102, GiB": (2, True),
        "whole network, float32, times faster": (6, True),
        "whole network, bfloat16, times faster": (30, True),
        "training step, 64 features, batch 8, times faster": (None, None),
        "time per pixel, largest image against smallest": (7 / 6.4, True),
        "memory per pixel, largest image against smallest": (50 / 64, True),
    }
    without = {t["what"] for t in targets_of(RESULTS, {"amx_bf16": False, "gpu": None})}
    assert "whole network, bfloat16, times faster" not in without


def scene(seconds: float, peak: int, rows: int, **options: Any) -> dict[str, Any]:
    said = {"size": [rows, 512], "halo": "fast", "config": {"ms_bands": 4, "hs_bands": 31}, **options}
    phases = {
        "start_seconds": 2.0,
        "tiles_seconds": 0.5 * seconds,
        "file_seconds": 0.5 * seconds - 2.0,
        "tiles": 31,
        "cores": 1.5,
    }
    figures = result("scene", "finewave", "bfloat16", seconds, peak, **said)
    return {
        **figures,
        "processor_seconds": 1.2 * seconds,
        "pixels": 16 * rows * 512,
        "load": 1.25,
        "tiles": 31,
        "cores": 1.5,
        **phases,
    }


def test_targets_of_scenes_by_hand() -> None:
    results = [
        scene(100, 3 * 10**9, 2048),
        scene(200, 33 * 10**8, 4096),
        scene(10, 1, 512, tile=512),
        scene(12, 1, 512, tile=128),
        scene(19, 1, 512, tile=128, halo="exact"),
        scene(34, 1, 512, workers=1),
        scene(20, 1, 512, workers=2),
    ]
    targets = scene_targets(results)
    assert [t["measured"] for t in targets] == pytest.approx([3, 1.1, 0.2, 0.9, 1.7, 1.7])
    assert [t["reached"] for t in targets] == [True, True, True, False, True, True]
    assert {t["measured"] for t in scene_targets([])} == {None}
    run_ = {"network": "scenes", "results": results, "ratios": [], "targets": targets, "plain": False, "quick": False}
    machine = {"gpu": None, "amx_bf16": True, "cores": 2, "processor": "P", "threads": 2, "load": 0.0}
    page = page_of({**run_, "machine": {**machine, "torch": "2", "date": "today", "commit": None}})
    assert page.startswith("# Performance on whole scenes")
    assert (
        "| 512 x 512 x 4 | 248 MiB | one piece | threads | 1.25 | 10 s | 12 s | 2 s | 5 s | 3 s | 1.50 | 0 MiB |"
        in page
    )


def test_targets_of_a_user_without_options() -> None:
    shipped = {"weights": "jssunet-cave-x4", "halo": "auto"}
    results = [
        scene(61, 10**9, 512, **shipped, no_options=True),
        {**scene(3, 2 * 10**9, 3000, **shipped, no_options=True)},
        scene(48, 1, 512, **shipped),
        scene(40, 1, 512, **shipped, tile=512),
    ]
    results[1]["options"]["size"] = [3000, 4000]
    targets = [(t["measured"], t["target"], t["reached"]) for t in scene_targets(results)[:5]]
    assert targets == [(61, 60, False), (1, 1.5, True), (3, 240, True), (2, 4, True), (pytest.approx(0.2), 0.25, True)]
    one_piece = next(t for t in scene_targets(results) if "fast halo" in t["what"])
    assert one_piece["measured"] is None  # of other weights


def run_on(machine: dict[str, Any], results: list[dict[str, Any]], **facts: Any) -> dict[str, Any]:
    machine = {"cores": 2, "processor": "P", "threads": 2, "load": 0.5, "torch": "2", "gpu": None, **machine}
    conclusions = {"ratios": ratios_of(results), "targets": targets_of(results, machine)}
    said = {"network": "jssunet", "quick": False, "plain": True, "machine": machine, "results": results}
    return {**said, **conclusions, **facts}


def test_parts_of_a_run_are_one_and_other_processors_stand_beside_it() -> None:
    amx = {"amx_bf16": True, "avx512_bf16": True, "date": "1 May", "commit": "a1"}
    other = {"amx_bf16": False, "avx512_bf16": True, "date": "2 May", "commit": "b2"}
    later = {**other, "date": "3 May", "commit": "c3", "load": 0.1}
    head, slower = result("head", "finewave", "float32", 1.0, 5), result("head", "finewave", "float32", 3.0, 5)
    plain, again = result("head", "plain", "float32", 9.0, 50), result("head", "finewave", "float32", 2.0, 5)
    first = added(run_on(amx, [head, plain]), run_on(other, [slower]))
    assert [r["seconds"] for r in first["results"]] == [3.0]
    whole = added(first, run_on(later, [plain, again]))
    assert [r["seconds"] for r in whole["results"]] == [2.0, 9.0]  # measured again, and added
    assert whole["ratios"][0]["faster"] == 4.5
    assert [r["machine"]["commit"] for r in whole["others"]] == ["a1"]
    page = page_of(whole)
    assert "- jssunet on 2 cores of P with AVX-512, 2 threads, load 0.5 at most; PyTorch 2, 2 May, 3 May" in page
    assert "- jssunet on 2 cores of P with AMX, 2 threads, load 0.5 at the start; PyTorch 2, 1 May, commit a1" in page
    assert "| attention head | finewave | float32 |  | 2 s | 1 s | 2.00 |" in page
    assert "| attention head | finewave | float32 | returned | AVX-512 | 2 s | 0 MiB | 4.5x | 10.0x |" in page
    assert "| attention head | finewave | float32 | returned | AMX | 1 s | 0 MiB | 9.0x | 10.0x |" in page
    back = added(whole, run_on({**amx, "commit": "d4"}, [plain]))
    assert [r["machine"]["commit"] for r in back["others"]] == ["c3"]
    assert [m["commit"] for m in back["pieces"]] == ["a1", "d4"]
    with pytest.raises(fw.InputError, match="cannot be added"):
        added(whole, run_on(amx, [head], network="scenes"))


def test_shares_of_the_peak_by_hand() -> None:
    (row,) = shares_of(RESULTS)
    assert row["flops_per_second"] == pytest.approx(2e11)
    assert row["share"] == pytest.approx(2 / 3)
    assert row["convolutions_share"] == pytest.approx(2 / 3)


def test_growth_by_hand() -> None:
    assert growth_of(RESULTS)[1]["time_per_pixel"] == pytest.approx(7 / 6.4)
    assert growth_of([]) == []


# --- The command --------------------------------------------------------------------------------------------------


@pytest.fixture
def measured_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure in this process: starting another takes longer than what it measures."""
    monkeypatch.setattr(suite, "measure_apart", worker.measure)


def test_the_command_writes_figures_and_page(measured_here: None, tmp_path: Path) -> None:
    figures, page = tmp_path / "figures.json", tmp_path / "page.md"
    shown = run("bench", "--quick", "--only", "head,forward", "--json", figures, "--write", page)
    assert shown.exit_code == 0, shown.output
    written = json.loads(figures.read_text())
    assert {r["group"] for r in written["results"]} == {"head", "forward"}
    assert len(written["ratios"]) == 6  # the forward pass with freed memory kept, and given back
    assert "Time and memory" in shown.stdout
    assert "quick: small sizes" in shown.stdout
    assert page.read_text() == page_of(written)
    more = run("bench", "--quick", "--only", "peak", "--add", figures)
    assert f"written: {figures}" in more.stdout.replace("\n", "")
    assert {r["group"] for r in json.loads(figures.read_text())["results"]} == {"head", "forward", "peak"}
    figures.write_text(json.dumps(written))
    again = run("bench", "--from", figures, "--write", tmp_path / "again.md")
    assert (tmp_path / "again.md").read_text() == page.read_text()
    assert again.stdout.replace("again.md", "") == shown.stdout.replace(f"written: {figures}\n", "").replace(
        "page.md", ""
    )


def test_without_a_checkout_one_line_says_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finewave.locations.checkout", lambda: None)
    assert_refused(run("bench", "--quick"), "come with the repository", "pip install -e")


def test_without_the_plain_formulations_ratios_are_left_out(
    measured_here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite, "has_plain", lambda: False)
    shown = run("bench", "--quick", "--only", "head")
    assert shown.exit_code == 0, shown.output
    assert "ratios are omitted" in shown.stdout
    assert run_suite("jssunet", ("head",), quick=True)["ratios"] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "heads"], ["unknown group of measurements 'heads'", "did you mean 'head'"]),
        (["jsunet"], ["jsunet"]),
        (["--quick", "--json", "none/figures.json"], ["none"]),
        (["--from", "none.json"], ["none.json"]),
    ],
)
def test_bad_input(arguments: list[str], words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(run("bench", *arguments), *words)


def test_a_file_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text("[1]")
    with pytest.raises(fw.InputError, match=r"other\.json does not hold"):
        read_run(path)


def test_what_failed_is_told() -> None:
    run_ = {"results": [{**Case("post", options={"size": [5, 5]}).as_dict(), "error": "no memory"}], "targets": []}
    (table,) = tables_of({**run_, "ratios": []})
    assert table.rows == [("post-processing, 5 x 5", "no memory")]


def test_a_network_of_any_task_is_measured() -> None:
    """A training step needs a target of the output's shape, whatever the output is."""
    name = "awan"
    net = create_model(name)
    case = next(c for c in cases_of(name, ("train",), quick=True, plain=False, device="cpu"))
    assert worker._batch(net, case, CPU).keys() == set(net.inputs)
    assert worker.measure(case)["seconds"] > 0

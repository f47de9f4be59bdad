from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from finewave.nn.losses import spectral_angle
from finewave.systems.jssunet.loss import StageWeights, phase1_loss, stepwise
from finewave.training.run_clock import RunClock
from finewave.training.schedules import learning_rate_factor

TABLE = [[0.0, 2, 1, 0.5], [0.3, 0.5, 1, 1], [0.6, 0, 0.5, 1]]


@pytest.mark.parametrize(
    ("progress", "row"),
    [(0, [2, 1, 0.5]), (0.2999, [2, 1, 0.5]), (0.3, [0.5, 1, 1]), (0.6, [0, 0.5, 1]), (1, [0, 0.5, 1])],
)
def test_stepwise(progress: float, row: list[float]) -> None:
    assert stepwise(TABLE, progress) == row


@given(progress=st.floats(0, 1), warmup=st.floats(0, 0.5), floor=st.floats(0, 1))
def test_the_learning_rate_stays_between_nothing_and_its_peak(progress: float, warmup: float, floor: float) -> None:
    factor = learning_rate_factor("cosine", progress, warmup, floor)
    assert 0 <= factor <= 1 + 1e-3
    if progress >= warmup:
        assert factor >= floor - 1e-9


def test_the_learning_rate_ends_at_the_floor() -> None:
    assert learning_rate_factor("cosine", 1, 0.1, 0.01) == pytest.approx(0.01)
    assert learning_rate_factor("constant", 1, 0.1, 0.01) == 1


def test_the_learning_rate_steps_down_at_milestones() -> None:
    """SSFIN: halved at epochs 5, 15, 30, 60 of 100."""
    milestones = [0.05, 0.15, 0.3, 0.6]
    factors = [
        learning_rate_factor("steps", x, 0, 0, milestones=milestones, decay=0.5) for x in (0, 0.049, 0.05, 0.3, 0.99)
    ]
    assert factors == [1, 1, 0.5, 0.125, 0.0625]


def test_the_learning_rate_falls_as_a_power() -> None:
    """AWAN: (1 - t)^1.5."""
    factors = [learning_rate_factor("polynomial", x, 0, 0.001, power=1.5) for x in (0, 0.5, 0.75, 1)]
    assert factors == pytest.approx([1, 0.5**1.5, 0.125, 0.001])


def test_an_unknown_schedule_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown schedule 'cosin'; did you mean 'cosine'"):
        learning_rate_factor("cosin", 0.5, 0, 0)


def test_the_clock_counts_steps_or_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    by_steps, by_time = RunClock(200), RunClock(1000, minutes=2)
    now[0] += 60
    assert by_steps.progress(50) == 0.25
    assert by_time.progress(50) == 0.5
    by_time.restart(90)
    assert by_time.progress(0) == 0.75
    now[0] += 1000
    assert by_time.progress(0) == 1


def test_the_loss_by_hand() -> None:
    """K = 2; targets are 0, so every term is a mean of absolute values."""
    zeros = torch.zeros(1, 1, 2, 2)
    sr, ssr, fusion = ([torch.full_like(zeros, v) for v in pair] for pair in ((1, 3), (10, 30), (100, -300)))
    total, parts = phase1_loss(sr, ssr, fusion, zeros, zeros, zeros, StageWeights(0.7, 0.9, 0.4))
    assert total.item() == pytest.approx(300 + 0.7 * 2 + 0.9 * 20 + 0.4 * 200)
    assert parts["output"].item() == 300


def test_the_spectral_angle_ignores_brightness() -> None:
    x = torch.rand(1, 5, 6, 6) + 0.1
    assert spectral_angle(3 * x, x).item() == pytest.approx(0, abs=1e-6)
    one, other = torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)
    one[:, 0], other[:, 1] = 1, 1
    assert spectral_angle(one, other).item() == pytest.approx(1)

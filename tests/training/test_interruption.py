"""An interruption that Python lost is one all the same, before anything is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from finewave.process import interruption
from finewave.training.callbacks import BestWeights, MinuteCheckpoint
from finewave.training.trainer import train


def test_nothing_is_kept_after_a_lost_interruption(
    overrides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if it had come in a finaliser in the fourth step: the exception ends there, and the step may be half done."""
    saved: list[int] = []
    save, end = MinuteCheckpoint._save, MinuteCheckpoint.on_train_batch_end

    def counted(self: MinuteCheckpoint, trainer) -> None:
        save(self, trainer)
        saved.append(trainer.global_step)

    def lost(self: MinuteCheckpoint, trainer, *more) -> None:
        if trainer.global_step == 4:
            interruption.ask()
        end(self, trainer, *more)

    monkeypatch.setattr(MinuteCheckpoint, "_save", counted)
    monkeypatch.setattr(MinuteCheckpoint, "on_train_batch_end", lost)
    monkeypatch.setattr("finewave.training.callbacks.CHECKPOINT_SECONDS", 0.0)
    try:
        with pytest.raises(KeyboardInterrupt):
            train("jssunet-cave-x4", overrides)
    finally:
        interruption.forget()
    assert saved == [1, 2, 3]
    assert not (tmp_path / "run" / "model").exists()
    assert BestWeights(tmp_path / "run" / "phase1" / "best.safetensors").best == float("-inf")

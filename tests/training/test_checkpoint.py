from pathlib import Path

import pytest
import torch

from lerenet.training.checkpoint import list_checkpoints, load_latest_checkpoint, save_checkpoint


def test_checkpoint_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "new", 7, {"step": 7, "weights": {"a": torch.arange(3.0)}, "rate": 0.5})
    state = load_latest_checkpoint(tmp_path / "new")
    assert state is not None
    assert (state["step"], state["rate"]) == (7, 0.5)
    torch.testing.assert_close(state["weights"]["a"], torch.arange(3.0))


def test_checkpoint_folder_keeps_the_last_two(tmp_path: Path) -> None:
    for step in (9, 10, 100):
        save_checkpoint(tmp_path, step, {"step": step})
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step-00000010.pt", "step-00000100.pt"]
    assert len(list(tmp_path.iterdir())) == 2


def test_checkpoint_is_missing_when_there_is_no_folder(tmp_path: Path) -> None:
    assert load_latest_checkpoint(tmp_path / "nowhere") is None


def test_checkpoint_before_is_loaded_when_the_last_is_damaged(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 1, {"step": 1})
    path = save_checkpoint(tmp_path, 2, {"step": 2})
    path.write_bytes(path.read_bytes()[:100])
    with pytest.warns(UserWarning, match=r"step-00000002\.pt is damaged"):
        state = load_latest_checkpoint(tmp_path)
    assert state == {"step": 1}


def test_checkpoint_half_written_is_not_listed(tmp_path: Path) -> None:
    (tmp_path / "step-00000005.partial").write_bytes(b"half")
    assert list_checkpoints(tmp_path) == []

"""Weights files: what is written is what is read, and nothing else is believed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from builders import tiny_network
from lerenet.errors import WeightsError
from lerenet.network.weights import (
    WeightsEntry,
    load_weights,
    read_manifest,
    save_weights,
    verify_weights,
    weights_digest,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    save_weights(tiny_network(), path)
    return path


def test_loaded_weights_are_the_saved_ones_in_half_precision(path: Path) -> None:
    saved, loaded = tiny_network().state_dict(), load_weights(path).state_dict()
    assert saved.keys() == loaded.keys()
    for name, tensor in saved.items():
        torch.testing.assert_close(loaded[name], tensor, atol=1e-3, rtol=1e-3)


def test_a_loaded_network_is_in_eval_mode_with_the_saved_structure(path: Path) -> None:
    network = load_weights(path)
    assert not network.training
    assert network.config == tiny_network().config


def test_a_weights_file_can_be_read_by_other_users(path: Path) -> None:
    assert path.stat().st_mode & 0o044 == 0o044


def test_a_truncated_file_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="not a readable safetensors file"):
        load_weights(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="absent"):
        load_weights(tmp_path / "absent.safetensors")


def test_a_safetensors_file_of_others_is_refused(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="no LERENet weights"):
        load_weights(tmp_path / "other.safetensors")


def test_tensors_of_another_structure_are_refused(path: Path, tmp_path: Path) -> None:
    network = tiny_network()
    del network.mpe.spatial
    save_weights(network, tmp_path / "lacking.safetensors")
    with pytest.raises(WeightsError, match="spatial"):
        load_weights(tmp_path / "lacking.safetensors")


def _entry(path: Path, **changes: object) -> WeightsEntry:
    fields = {"file": path.name, "sha256": weights_digest(path), "bytes": path.stat().st_size}
    return WeightsEntry(**(fields | {"preset": "metal", "input": "", "made": ""} | changes))  # type: ignore[arg-type]


def test_a_digest_is_the_sha256_of_the_file(path: Path) -> None:
    assert weights_digest(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_that_fits_its_entry_is_verified(path: Path) -> None:
    verify_weights(_entry(path), path.parent)


def test_a_changed_file_is_found_out(path: Path) -> None:
    entry = _entry(path)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(WeightsError, match="fetch the file again"):
        verify_weights(entry, path.parent)


def test_a_broken_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.toml").write_text("[[weights]]\nfile = 1\nunknown = 2\n")
    with pytest.raises(WeightsError, match="manifest"):
        read_manifest(tmp_path)


def test_the_shipped_weights_fit_their_manifest() -> None:
    for entry in read_manifest():
        verify_weights(entry)

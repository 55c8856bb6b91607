"""Weights files: what goes in comes out, and nothing else is taken for one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from builders import tiny_network
from lerenet.errors import WeightsError
from lerenet.network.build import build_lerenet
from lerenet.network.config import PAPER_VGG, tiny
from lerenet.network.lerenet import LERENet
from lerenet.network.weights import (
    WeightsEntry,
    load_weights,
    read_manifest,
    save_confidence,
    save_weights,
    verify_weights,
    weights_digest,
)

CPU = torch.device("cpu")


@pytest.fixture
def saved(network: LERENet, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    save_weights(network, path)
    return path


def rewrite(path: Path, change: Callable[[dict[str, Tensor], dict[str, str]], Any]) -> None:
    with safe_open(path, framework="pt") as file:
        metadata: dict[str, str] = dict(file.metadata())
    tensors = load_file(path)
    change(tensors, metadata)
    save_file(tensors, path, metadata)


def set_config(**fields: Any) -> Callable[[dict[str, Tensor], dict[str, str]], None]:
    def change(_: dict[str, Tensor], metadata: dict[str, str]) -> None:
        metadata["config"] = json.dumps(json.loads(metadata["config"]) | fields)

    return change


def test_loaded_network_has_the_saved_values_in_half_precision(network: LERENet, saved: Path) -> None:
    loaded = load_weights(saved, CPU).state_dict()
    state = network.state_dict()
    assert loaded.keys() == state.keys()
    for name, tensor in state.items():
        expected = tensor.half().float() if tensor.ndim >= 2 else tensor
        assert torch.equal(loaded[name], expected), name


def test_loaded_network_segments_as_the_saved_one(
    network: LERENet, query: Tensor, images: Tensor, masks: Tensor, tmp_path: Path
) -> None:
    path = tmp_path / "exact.safetensors"
    save_weights(network, path, dtype=torch.float32)
    with torch.no_grad():
        assert torch.equal(load_weights(path, CPU)(query, images, masks), network(query, images, masks))


@pytest.mark.parametrize(
    "config", [tiny(), replace(tiny(), fusion_channels=4), PAPER_VGG], ids=["tiny", "thin", "paper"]
)
def test_file_knows_which_network_it_is_of(config: Any, tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    save_weights(build_lerenet(config), path)
    assert load_weights(path, CPU).config == config


def test_loaded_network_is_ready_to_serve(saved: Path) -> None:
    loaded = load_weights(saved)
    assert not loaded.training
    assert {tensor.dtype for tensor in loaded.parameters()} == {torch.float32}


def test_file_is_stored_in_half_precision(saved: Path) -> None:
    stored = load_file(saved).values()
    assert {tensor.dtype for tensor in stored if tensor.ndim >= 2} == {torch.float16}
    assert {tensor.dtype for tensor in stored if tensor.ndim < 2} == {torch.float32, torch.int64}


def test_saving_leaves_no_other_file(saved: Path) -> None:
    assert list(saved.parent.iterdir()) == [saved]


def test_same_network_gives_the_same_digest(saved: Path, network: LERENet) -> None:
    again = saved.with_name("again.safetensors")
    save_weights(network, again)
    assert weights_digest(again) == weights_digest(saved) == hashlib.sha256(saved.read_bytes()).hexdigest()


@pytest.mark.parametrize("value", [float("nan"), 1e6])
def test_value_that_half_precision_cannot_keep_is_refused(network: LERENet, tmp_path: Path, value: float) -> None:
    path = tmp_path / "broken.safetensors"
    with torch.no_grad():
        next(network.parameters())[0] = value
    with pytest.raises(WeightsError, match=r"backbone\.\S+: holds values"):
        save_weights(network, path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors, _: tensors.pop("mpr.phi.weight"), r"Missing key.*mpr\.phi\.weight"),
        (lambda tensors, _: tensors.update(extra=torch.zeros(1)), "Unexpected key.*extra"),
        (lambda tensors, _: tensors.update({"mpr.phi.bias": torch.zeros(3)}), "size mismatch"),
        (lambda _, metadata: metadata.pop("config"), "no LERENet weights"),
        (lambda _, metadata: metadata.update(config="{"), "configuration cannot be read"),
        (set_config(depth=3), "configuration cannot be read"),
        (set_config(preset="wood"), "wood"),
        (set_config(n_nodes="many"), "do not fit"),
        (set_config(preset="paper"), "do not fit"),
        (set_config(n_nodes=6), "size mismatch"),
    ],
    ids=[
        "missing", "surplus", "shape", "no-config", "no-json", "field", "preset", "type",
        "backbone", "size",
    ],
)  # fmt: skip
def test_file_that_does_not_fit_is_refused(
    saved: Path, change: Callable[[dict[str, Tensor], dict[str, str]], Any], message: str
) -> None:
    rewrite(saved, change)
    with pytest.raises(WeightsError, match=f"(?s){message}"):
        load_weights(saved, CPU)


@pytest.mark.parametrize("content", [b"", b"text", b"\x80\x04pickle", b"\xff" * 64])
def test_file_that_is_no_safetensors_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"odd\.safetensors"):
        load_weights(path, CPU)


def test_truncated_file_is_refused(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="not a readable safetensors"):
        load_weights(saved, CPU)


def test_pickled_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save(tiny_network().state_dict(), path)
    with pytest.raises(WeightsError, match=r"checkpoint\.pt"):
        load_weights(path, CPU)


@pytest.mark.parametrize("read", [load_weights, weights_digest])
def test_absent_file_is_named(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(WeightsError, match=r"absent\.safetensors"):
        read(tmp_path / "absent.safetensors")


def entry_of(path: Path) -> WeightsEntry:
    return WeightsEntry(path.name, weights_digest(path), path.stat().st_size, "metal", "RGB", "by a test")


def write_manifest(folder: Path, entry: WeightsEntry) -> None:
    lines = [f"{name} = {json.dumps(value)}" for name, value in asdict(entry).items()]
    (folder / "manifest.toml").write_text("\n".join(["[[weights]]", *lines]), encoding="utf-8")


def test_manifest_lists_its_entries(saved: Path) -> None:
    entry = entry_of(saved)
    write_manifest(saved.parent, entry)
    assert read_manifest(saved.parent) == [entry]


@pytest.mark.parametrize("text", [None, "", "[[weights]]\nfile = 'a'", "weights = [", "[[weights]]\ncolour = 'red'"])
def test_manifest_that_cannot_be_read_is_named(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "manifest.toml").write_text(text, encoding="utf-8")
    with pytest.raises(WeightsError, match=r"manifest\.toml"):
        read_manifest(tmp_path)


def test_verification_passes_for_the_file_of_the_entry(saved: Path) -> None:
    verify_weights(entry_of(saved), saved.parent)


def test_verification_fails_when_one_byte_differs(saved: Path) -> None:
    entry = entry_of(saved)
    content = bytearray(saved.read_bytes())
    content[-1] ^= 1
    saved.write_bytes(content)
    with pytest.raises(WeightsError, match=entry.sha256):
        verify_weights(entry, saved.parent)


def test_a_weights_file_can_be_read_by_other_users(saved: Path) -> None:
    assert saved.stat().st_mode & 0o044 == 0o044


def test_the_shipped_weights_fit_their_manifest() -> None:
    for entry in read_manifest():
        verify_weights(entry)


def test_confidence_survives_the_file(network: LERENet, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_weights(network, path)
    assert load_weights(path, CPU).confidence is None
    save_confidence(path, path, (-1.25, 0.5, 0.125))
    again = load_weights(path, CPU)
    assert again.confidence == (-1.25, 0.5, 0.125)
    save_weights(again, tmp_path / "b.safetensors")
    assert (tmp_path / "b.safetensors").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("confidence", [[1.0], ["a", 1, 2], 3])
def test_weights_with_an_unreadable_confidence_are_refused(saved: Path, confidence: object) -> None:
    rewrite(saved, set_config(confidence=confidence))
    with pytest.raises(WeightsError, match="cannot be read"):
        load_weights(saved, CPU)

"""Weights on disk: safetensors only, with the network's configuration beside the tensors, verified by digest."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lerenet.errors import LERENetError, WeightsError
from lerenet.network.build import build_lerenet
from lerenet.network.config import NetworkConfig
from lerenet.network.lerenet import LERENet

_MANIFEST = "manifest.toml"
_CONFIDENCE = "confidence"


def save_weights(network: LERENet, path: Path, *, dtype: torch.dtype = torch.float16) -> None:
    """Write a network's parameters and running statistics, its weights as `dtype`.

    The file appears whole or not at all.

    Raises:
        WeightsError: A value is not finite, or too large for `dtype`.
    """
    tensors = {name: _stored(name, tensor, dtype) for name, tensor in network.state_dict().items()}
    _write(path, tensors, asdict(network.config), network.confidence)


def save_confidence(source: Path, target: Path, confidence: tuple[float, float, float]) -> None:
    """Write a file's weights, as they are, with another confidence; both may be one file.

    Raises:
        WeightsError: No such file, or not one of ours.
    """
    tensors, metadata = _read(source)
    _write(target, tensors, asdict(_described(source, metadata)[0]), confidence)


def load_weights(path: Path, device: torch.device | None = None) -> LERENet:
    """Build the network that a file describes and fill it, in float32 and eval mode.

    Raises:
        WeightsError: No such file, not a safetensors file of ours, or tensors that do not fit its configuration.
    """
    tensors, metadata = _read(path)
    config, confidence = _described(path, metadata)
    try:
        network = build_lerenet(config)
        network.load_state_dict(tensors, strict=True)
    except (RuntimeError, TypeError, ValueError, LERENetError) as err:
        raise WeightsError(f"{path}: the tensors do not fit the network that the file describes: {err}") from err
    network.confidence = confidence
    return network.to(device or torch.device("cpu")).eval()


def weights_digest(path: Path) -> str:
    """Sha256 of the file, in hex.

    Raises:
        WeightsError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as err:
        raise WeightsError(f"{path}: cannot be read ({err.strerror}); name a weights file in LERENET_WEIGHTS") from err


@dataclass(frozen=True)
class WeightsEntry:
    """One file of the manifest.

    Attributes:
        file: Name beside the manifest.
        sha256: Hex digest of the file.
        bytes: Its size.
        preset: `metal` or `paper`.
        input: What the network expects.
        made: How the weights came about.
    """

    file: str
    sha256: str
    bytes: int
    preset: str
    input: str
    made: str


def weights_folder() -> Path:
    """Where the shipped weights lie: inside the installed package, or at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "model_weights"
    return installed if installed.is_dir() else package.parents[1] / "model_weights"


def read_manifest(folder: Path | None = None) -> list[WeightsEntry]:
    """The shipped files, the default first.

    Raises:
        WeightsError: No manifest, or one that is not as expected.
    """
    path = (folder or weights_folder()) / _MANIFEST
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return [WeightsEntry(**entry) for entry in table["weights"]]
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as err:
        raise WeightsError(f"{path}: not a readable manifest ({err})") from err


def shipped_weights() -> Path:
    """The default weights file."""
    return weights_folder() / read_manifest()[0].file


def verify_weights(entry: WeightsEntry, folder: Path | None = None) -> None:
    """Compare a file with its manifest entry.

    Raises:
        WeightsError: Size or digest differ.
    """
    path = (folder or weights_folder()) / entry.file
    digest = weights_digest(path)
    if (path.stat().st_size, digest) != (entry.bytes, entry.sha256):
        raise WeightsError(
            f"{path}: {path.stat().st_size} bytes with sha256 {digest}, the manifest says {entry.bytes} bytes with"
            f" {entry.sha256}; fetch the file again"
        )


def verified_digest(path: Path, expected: str | None = None) -> str:
    """Sha256 of a weights file, in hex, once it is what it should be; call it before the file is loaded.

    Args:
        path: Weights file.
        expected: Digest it must have; None: that of its entry in a manifest beside it, where there is one.

    Raises:
        WeightsError: The file cannot be read or is another, or the manifest cannot be read.
    """
    digest = weights_digest(path)
    if expected is None and (path.parent / _MANIFEST).is_file():
        expected = next((each.sha256 for each in read_manifest(path.parent) if each.file == path.name), None)
    if expected not in (None, digest):
        raise WeightsError(f"{path}: has sha256 {digest} and should have {expected}; fetch the file again")
    return digest


def _stored(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Weights as `dtype`; norms, biases and single numbers as they are: they take no room, and variances run high."""
    kept = tensor.detach().to(dtype) if tensor.is_floating_point() and tensor.ndim >= 2 else tensor.detach()
    if not kept.isfinite().all():
        raise WeightsError(f"{name}: holds values that {dtype} cannot keep; save as float32, or look at the training")
    return kept.cpu().contiguous()


def _read(path: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as err:
        raise WeightsError(f"{path}: not a readable safetensors file ({err})") from err


def _write(
    path: Path, tensors: Mapping[str, Tensor], config: dict[str, Any], confidence: tuple[float, float, float] | None
) -> None:
    # One entry only: safetensors writes several in changing order, and equal weights shall have equal digests.
    metadata = {"config": json.dumps(config if confidence is None else config | {_CONFIDENCE: confidence})}
    unfinished = path.with_name(path.name + ".part")
    save_file(dict(tensors), unfinished, metadata)
    unfinished.chmod(0o644)  # the writer makes it private, and a service may run as another user
    unfinished.replace(path)


def _described(path: Path, metadata: Mapping[str, str]) -> tuple[NetworkConfig, tuple[float, float, float] | None]:
    """The configuration, and the confidence of a file that was calibrated."""
    if "config" not in metadata:
        raise WeightsError(f"{path}: no LERENet weights, as no network configuration is with them")
    try:
        stored: dict[str, Any] = json.loads(metadata["config"])
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in stored.items()}
        confidence: tuple[float, float, float] | None = fields.pop(_CONFIDENCE, None)
        if confidence is not None:
            bias, probability, area = map(float, confidence)
            confidence = (bias, probability, area)
        return NetworkConfig(**fields), confidence
    except (KeyError, TypeError, ValueError) as err:
        raise WeightsError(f"{path}: its network configuration cannot be read ({err})") from err

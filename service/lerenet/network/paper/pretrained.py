"""ImageNet state dicts from a local file into the backbone of the `paper` preset.

A file is recognised by the names of its keys alone, against the layouts below: every key must belong to a part which
the network has, or to a part which the layout is known to carry beyond it. Nothing is guessed, and nothing is left out
silently.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lerenet.errors import WeightsError
from lerenet.network.paper.backbone import ResNetStage1, VggBlocks12

if TYPE_CHECKING:
    from lerenet.network.lerenet import LERENet

StateDict = dict[str, Tensor]

BATCH_COUNTER = "num_batches_tracked"
N_NAMES_SHOWN = 4


@dataclass(frozen=True)
class Layout:
    """How one family of files names its parts.

    Attributes:
        name: What an engineer calls it.
        backbone: The backbone it fits, as `describe_backbone` words it.
        renames: Prefix in the file -> prefix in our backbone, for every part which we have.
        unused: Prefixes of the parts which we do not have.
    """

    name: str
    backbone: str
    renames: Mapping[str, str]
    unused: tuple[str, ...]

    def holds(self, keys: Iterable[str]) -> bool:
        """Whether the keys are of this layout: each part of ours is there, and no part is unknown."""
        owners = {self._owner(key) for key in keys}
        return set(self.renames) <= owners and None not in owners

    def renamed(self, state: StateDict) -> StateDict:
        """The tensors of our parts under our names; the unused parts fall away."""
        return {
            ours + key.removeprefix(theirs): tensor
            for theirs, ours in self.renames.items()
            for key, tensor in state.items()
            if key.startswith(theirs + ".")
        }

    def _owner(self, key: str) -> str | None:
        return next((p for p in (*self.renames, *self.unused) if key.startswith(p + ".")), None)


_DEEP_STEM = {
    "conv1": "stem.0",
    "bn1": "stem.1",
    "conv2": "stem.3",
    "bn2": "stem.4",
    "conv3": "stem.6",
    "bn3": "stem.7",
}
_DEEP, _PLAIN, _VGG = "resnet50 with deep stem", "resnet50 with plain stem", "vgg16_bn"
_RESNET_UNUSED = ("layer2", "layer3", "layer4", "fc")
_VGG_PARTS = (0, 1, 3, 4, 7, 8, 10, 11)  # convolutions and batch norms of blocks 1 and 2

LAYOUTS = (
    Layout(
        "torchvision ResNet-50 (7x7 stem)",
        _PLAIN,
        {"conv1": "stem.0", "bn1": "stem.1", "layer1": "stage1"},
        _RESNET_UNUSED,
    ),
    Layout("deep-stem ResNet-50 (conv1 to conv3)", _DEEP, {**_DEEP_STEM, "layer1": "stage1"}, _RESNET_UNUSED),
    Layout(
        "deep-stem ResNet-50 (layer0.conv1 to layer0.conv3)",
        _DEEP,
        {**{f"layer0.{theirs}": ours for theirs, ours in _DEEP_STEM.items()}, "layer1": "stage1"},
        _RESNET_UNUSED,
    ),
    Layout(
        "deep-stem ResNet-50 (layer0 numbered)",
        _DEEP,
        {**{f"layer0.{i}": f"stem.{i}" for i in (0, 1, 3, 4, 6, 7)}, "layer1": "stage1"},
        _RESNET_UNUSED,
    ),
    Layout(
        "torchvision vgg16_bn",
        _VGG,
        {f"features.{i}": f"layers.{i}" for i in _VGG_PARTS},
        (*(f"features.{i}" for i in range(14, 44)), "classifier"),
    ),
)


def load_backbone(network: LERENet, path: Path) -> None:
    """Load ImageNet weights from a local file into the backbone of a `paper` network, in place and all or nothing.

    Stages beyond ours are ignored by name; every parameter and running statistic of ours must be in the file. Batch
    counters alone may be absent, as in files older than they are: fixed-momentum batch norm never reads them. Half
    precision in the file is widened.

    Args:
        network: Preset `paper`, backbone `resnet50` (stem `deep` or `plain`) or `vgg16_bn`.
        path: `.safetensors`, or anything else as a torch file of plain tensors (no code in it is run), possibly
            wrapped in `state_dict` and with `module.` before each key.

    Raises:
        WeightsError: The file is missing or damaged, of no known layout, of a layout for another backbone, or a
            tensor of it is missing, surplus or of another shape.
    """
    backbone = network.backbone
    state = _without_wrapping(_read(path))
    tensors = _layout_for(backbone, state, path).renamed(state)
    own = backbone.state_dict()
    counters = {key: tensor for key, tensor in own.items() if key.endswith(BATCH_COUNTER)}
    tensors = counters | tensors
    _check_fit(tensors, own, path)
    backbone.load_state_dict(tensors, strict=True)


def describe_backbone(backbone: torch.nn.Module) -> str:
    """The backbone's name as messages give it, such as `resnet50 with deep stem`.

    Raises:
        WeightsError: No ImageNet file has the structure of this backbone.
    """
    match backbone:
        case VggBlocks12():
            return _VGG
        case ResNetStage1(stem_kind="deep"):
            return _DEEP
        case ResNetStage1(stem_kind="plain"):
            return _PLAIN
    raise WeightsError(
        f"No ImageNet file fits the backbone {type(backbone).__name__}; build the network with the preset `paper`."
    )


def _read(path: Path) -> object:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as err:
        raise WeightsError(f"There is no weights file {path}.") from err
    except (OSError, EOFError, KeyError, RuntimeError, ValueError, SafetensorError, pickle.UnpicklingError) as err:
        raise WeightsError(
            f"{path} cannot be read as {'safetensors' if path.suffix == '.safetensors' else 'a torch file of tensors'}"
            f" ({type(err).__name__}); fetch or export it again as a plain state dict."
        ) from err


def _without_wrapping(content: object) -> StateDict:
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(tensor, Tensor) for tensor in content.values()):
        raise WeightsError(
            f"The file holds {type(content).__name__}, not a state dict of tensors alone; save `model.state_dict()`."
        )
    return {str(key).removeprefix("module."): tensor for key, tensor in content.items()}


def _layout_for(backbone: torch.nn.Module, state: StateDict, path: Path) -> Layout:
    wanted = describe_backbone(backbone)
    fitting = " or ".join(layout.name for layout in LAYOUTS if layout.backbone == wanted)
    found = next((layout for layout in LAYOUTS if layout.holds(state)), None)
    if found is None:
        raise WeightsError(
            f"{path} is of no known layout: its {len(state)} keys are {_named(state)}. A network with {wanted} takes"
            f" {fitting}, whole and without other parts."
        )
    if found.backbone != wanted:
        raise WeightsError(
            f"{path} holds {found.name}, which fits {found.backbone}, but the network has {wanted}: give it {fitting},"
            " or build the network with the backbone and stem of the file."
        )
    return found


def _check_fit(tensors: StateDict, own: StateDict, path: Path) -> None:
    missing, surplus = own.keys() - tensors.keys(), tensors.keys() - own.keys()
    other = {key for key in own.keys() & tensors.keys() if own[key].shape != tensors[key].shape}
    if not (missing or surplus or other):
        return
    shapes = [f"{key} {tuple(tensors[key].shape)} instead of {tuple(own[key].shape)}" for key in sorted(other)]
    raise WeightsError(
        f"{path} does not fit the backbone (our names): missing {_named(missing)}; surplus {_named(surplus)}; of"
        f" another shape {_named(shapes)}. Give the whole, unmodified state dict."
    )


def _named(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = len(listed) - N_NAMES_SHOWN
    return ", ".join(listed[:N_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "") or "none"

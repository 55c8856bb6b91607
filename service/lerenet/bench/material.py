"""What a benchmark is made with: synthetic plates as files and as shots, the same from run to run."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image as Pillow

from lerenet.imaging.shots import Shot
from lerenet.synthetic import EpisodeGenerator
from lerenet.synthetic.sheet import episode_shots

if TYPE_CHECKING:
    from pathlib import Path

    from lerenet.imaging.images import Image

SEED = 6
SIDE_PX = 200
N_FRAMES = 32
N_SUPPORT_SETS = 4


def draw_shots(n_classes: int, n_shots: int) -> list[list[Shot]]:
    """Shots of so many classes, of one working scale: plates of `SIDE_PX`, each marked.

    They come again after `N_SUPPORT_SETS` classes: what a class costs a frame does not depend on what was marked, and
    the prototypes of equal support sets are made once.
    """
    generator = EpisodeGenerator(SEED, SIDE_PX, n_images=n_shots, defect_free=0.0, device=torch.device("cpu"))
    drawn = [episode_shots(generator, index) for index in range(min(n_classes, N_SUPPORT_SETS))]
    return [drawn[index % N_SUPPORT_SETS] for index in range(n_classes)]


def draw_frames(height: int, width: int, n_frames: int = N_FRAMES) -> list[Image]:
    """Grey frames (height, width) uint8 of plates that no class was made from; larger ones repeat a plate mirrored."""
    generator = EpisodeGenerator(SEED + 1, SIDE_PX, n_images=4, device=torch.device("cpu"))
    plates = [shot.image for index in range(-(-n_frames // 4)) for shot in episode_shots(generator, index)]
    padding = ((0, max(0, height - SIDE_PX)), (0, max(0, width - SIDE_PX)))
    greys = [plate.mean(axis=2).round().astype(np.uint8) for plate in plates[:n_frames]]
    return [np.ascontiguousarray(np.pad(grey, padding, mode="symmetric")[:height, :width]) for grey in greys]


def write_frames(frames: list[Image], folder: Path) -> Path:
    """Writes frames as PNG files into a folder that is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, frame in enumerate(frames):
        (folder / f"{index:03d}.png").write_bytes(as_png(frame))
    return folder


def as_png(frame: Image) -> bytes:
    """An image as the bytes of a PNG file."""
    file = BytesIO()
    Pillow.fromarray(frame).save(file, format="PNG")
    return file.getvalue()

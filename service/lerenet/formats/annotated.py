"""Annotated images, whatever tool they come from. Masks are drawn when they are asked for, one at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

import numpy as np

from lerenet.errors import DatasetError, LERENetError
from lerenet.imaging import ImageLimits, Mask


class Shape(Protocol):
    """Something that somebody drew."""

    def draw(self, height: int, width: int) -> Mask:
        """Its mask, (H, W) uint8 in {0, 1}.

        Raises:
            LERENetError, ValueError: It cannot be read.
        """


@dataclass(frozen=True, eq=False)
class AnnotatedImage:
    """An image and what is drawn on it.

    Attributes:
        source: Where this stands, for messages.
        file_names: Of the image, as the tool wrote it; further ones are other guesses.
        height: In pixels, as displayed.
        width: In pixels, as displayed.
        shapes: By label.
    """

    source: str
    file_names: Sequence[str]
    height: int
    width: int
    shapes: Mapping[str, Sequence[Shape]]

    def mask(self, label: str) -> Mask:
        """The union of the shapes of one label, (H, W) uint8 in {0, 1}.

        Raises:
            DatasetError: The size is over the limits, or a shape cannot be read; the detail says where.
        """
        try:
            ImageLimits().check(self.height, self.width)
            mask: Mask = np.zeros((self.height, self.width), np.uint8)
            for shape in self.shapes.get(label, ()):
                mask |= shape.draw(self.height, self.width)
        except (LERENetError, ValueError) as err:
            raise DatasetError(f"{self.source}, label {label}: {err}") from err
        return mask

    def find(self, folder: Path) -> Path:
        """The image's file, by its path below a folder or by its name alone.

        Raises:
            DatasetError: It is not there.
        """
        for file_name in self.file_names:
            named = PurePosixPath(file_name.replace("\\", "/"))
            for candidate in (named, PurePosixPath(named.name)):
                is_below = not candidate.is_absolute() and ".." not in candidate.parts
                if is_below and (folder / candidate).is_file():
                    return folder / candidate
        raise DatasetError(f"{self.source}: {folder} holds no {self.file_names[0]}: name its folder with --images")

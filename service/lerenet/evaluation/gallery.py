"""Where a network fails: the worst of its answers on plates that no training has seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from lerenet.evaluation.sheets import FONT_PX, GAP_PX, INK, MARKED, compare_masks
from lerenet.imaging.overlap import overlap
from lerenet.imaging.overlay import overlay, tiled
from lerenet.imaging.shots import Shot
from lerenet.inference.regions import MaskRule, read_map
from lerenet.inference.segmenter import SegmentationJob
from lerenet.synthetic.sheet import as_shots, split_episode
from lerenet.training.episodes import SyntheticEpisodes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import torch

    from lerenet.evaluation.measurement import ShotSegmenter
    from lerenet.imaging.images import Image
    from lerenet.imaging.masks import Mask
    from lerenet.training.episodes import EpisodeSource

SEED = 800_002
"""Of the plates: that of no training run, validation or calibration."""

_PER_ROW = 2


@dataclass(frozen=True, eq=False)
class GalleryCase:
    """One answer.

    Attributes:
        shot: One of the support set.
        query: The plate with its true mask.
        mask: The answer, (H, W) uint8 in {0, 1}.
        iou: Of answer and truth; 1 where both are empty.
    """

    shot: Shot
    query: Shot
    mask: Mask
    iou: float


def gallery_plates(n_shots: int, n_queries: int, size_px: int, device: torch.device) -> SyntheticEpisodes:
    """Episodes of their own seed, one a batch, with plates for so many shots and queries."""
    return SyntheticEpisodes(seed=SEED, size_px=size_px, n_images=n_shots + n_queries, n_episodes=1, device=device)


def answer_plates(
    segmenter: ShotSegmenter,
    source: EpisodeSource,
    n_episodes: int,
    n_shots: int,
    on_episode: Callable[[], None] = lambda: None,
) -> list[GalleryCase]:
    """Segments held-out plates as the service would: threshold and least score are those it suggests.

    Args:
        segmenter: What is looked at.
        source: Its batch i is one episode; the first marked plates are the shots, all others queries.
        n_episodes: Taken from the source.
        n_shots: Most shots; an episode with fewer marked plates keeps one of them as a query.
        on_episode: Called after each.
    """
    cases: list[GalleryCase] = []
    for index in range(n_episodes):
        images, masks = source[index]
        cases += _answer(segmenter, as_shots(images[0], masks[0]), n_shots)
        on_episode()
    return cases


def render_gallery(cases: Sequence[GalleryCase], n_shown: int) -> Image:
    """Draws the worst answers, worst first: shot, query, and the answer against the truth, two cases a row.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: No case.
    """
    if not cases:
        raise ValueError("there is no case to draw")
    worst = sorted(cases, key=lambda case: case.iou)[:n_shown]
    rows = [worst[start : start + _PER_ROW] for start in range(0, len(worst), _PER_ROW)]
    return tiled([[cell for case in row for cell in _cells(case)] for row in rows], GAP_PX)


def _answer(segmenter: ShotSegmenter, plates: Sequence[Shot], n_shots: int) -> Iterator[GalleryCase]:
    shots, queries = split_episode(plates, n_shots)
    encoding = segmenter.encode(shots, ())
    found = segmenter.assess(shots, (), encoding)
    rule = MaskRule(found.threshold, 0, found.min_score, found.confidence, encoding.scale)
    maps = segmenter.segment([SegmentationJob(query.image, (encoding,)) for query in queries])
    for place, (query, [q]) in enumerate(zip(queries, maps, strict=True)):
        mask = read_map(q, rule).mask
        yield GalleryCase(shots[place % len(shots)], query, mask, overlap(mask, query.mask).iou)


def _cells(case: GalleryCase) -> list[Image]:
    compared = compare_masks(case.query.image, case.mask, case.query.mask)
    return [overlay(case.shot.image, case.shot.mask, MARKED), case.query.image, _labelled(compared, f"{case.iou:.2f}")]


def _labelled(image: Image, text: str) -> Image:
    page = Pillow.fromarray(image)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(FONT_PX)
    pen.rectangle((0, 0, 4 + pen.textlength(text, font=font), FONT_PX + 4), fill=(255, 255, 255))
    pen.text((2, 1), text, fill=INK, font=font)
    return np.asarray(page)

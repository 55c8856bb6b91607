"""Episodes without end: each a defect class that exists nowhere else, on plates of one surface.

The plates of an episode differ as real frames of one line do (light, exposure, scale, turn, noise, place and number
of the defects), some carry other defects that are not marked, and some nothing at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from lerenet.synthetic.appearance import annotate, paint_defect, soft_coverage
from lerenet.synthetic.capture import photograph
from lerenet.synthetic.defects import FAMILIES, sample_defect
from lerenet.synthetic.draw import Draw, Parameters, over_plane, stack, take
from lerenet.synthetic.shapes import Canvas, blob
from lerenet.synthetic.surfaces import render_surface, sample_surface

_NOTHING = -1e3
_SMALLEST_SHARE, _LARGEST_SHARE = 3e-4, 0.65
_ATTEMPTS = 3
_LENGTHS = ("size_px", "width_px", "length_px")
_LOOK = ("contrast", "polarity_flips", "cover", "soft_px", "inner", "inner_px", "rim", "fade", "stain")
_SMALLEST_PX = 1.0


@dataclass(frozen=True)
class EpisodeBatch:
    """B episodes of N plates.

    Attributes:
        images: (B, N, 3, S, S) uint8 RGB.
        masks: (B, N, S, S) uint8 in {0, 1}; all zero on a defect-free plate. At least the first two have a defect.
    """

    images: Tensor
    masks: Tensor


@dataclass(frozen=True)
class EpisodeGenerator:
    """Synthetic episodes, a pure function of (seed, index).

    Attributes:
        seed: Chooses the whole sequence.
        size_px: Side S of a plate, a multiple of 8.
        n_images: Plates N per episode, at least 2.
        defect_free: Probability that a plate beyond the second shows no defect of the class.
        device: Where plates are drawn; sequences differ between kinds of device.
    """

    seed: int
    size_px: int = 208
    n_images: int = 4
    defect_free: float = 0.3
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @torch.no_grad()
    def batch(self, index: int, n_episodes: int) -> EpisodeBatch:
        """Draw batch number `index` of the sequence."""
        draw = Draw((self.seed * 1_000_003 + index) % 2**63, self.device)
        canvas = Canvas(draw, self.size_px)
        classes = _Classes.sample(draw, n_episodes)
        scene = _Scene.sample(draw, n_episodes, self.n_images).shadowed(draw, classes)
        plate, part = render_surface(canvas, scene.surface, scene.light)
        plate = self._distract(canvas, plate, part, scene, classes)
        p = classes.on_plates(draw, scene)
        inside, masks = self._place(canvas, classes.families[scene.episode], p, part)
        plate = paint_defect(canvas, plate, inside, p, scene.light)
        images = photograph(draw, plate, scene.surface, soft_coverage(inside, p) * over_plane(p["stain"]))
        shape = (n_episodes, self.n_images)
        return EpisodeBatch(images.unflatten(0, shape), masks.to(torch.uint8).unflatten(0, shape))

    def _distract(self, canvas: Canvas, plate: Tensor, part: Tensor, scene: _Scene, marked: _Classes) -> Tensor:
        """Paint defects of another class: they belong to the background of this episode."""
        classes = _Classes.sample(canvas.draw, scene.n_episodes).disguised(canvas.draw, marked)
        shown = canvas.draw.chance(0.6, scene.n_episodes)[scene.episode] & canvas.draw.chance(0.6, len(plate))
        index = shown.nonzero()[:, 0]
        if len(index) == 0:
            return plate
        p = take(classes.on_plates(canvas.draw, scene), index)
        inside = _outlines(canvas, classes.families[scene.episode[index]], p, part[index])
        inside = torch.minimum(inside, part[index])
        return plate.index_copy(0, index, paint_defect(canvas, plate[index], inside, p, scene.light[index]))

    def _place(self, canvas: Canvas, families: Tensor, p: Parameters, part: Tensor) -> tuple[Tensor, Tensor]:
        """Outlines and masks (P, S, S); a plate whose defect came out invisible or all-covering tries again."""
        inside, masks = self._attempt(canvas, families, p, part)
        for _ in range(_ATTEMPTS):
            again = (~self._is_usable(masks)).nonzero()[:, 0]
            if len(again) == 0:
                break
            inside[again], masks[again] = self._attempt(canvas, families[again], take(p, again), part[again])
        failed = (~self._is_usable(masks)).nonzero()[:, 0]
        if len(failed):
            inside[failed], masks[failed] = self._fallback(canvas, len(failed))
        return self._clear_some(canvas.draw, inside, masks)

    def _attempt(self, canvas: Canvas, families: Tensor, p: Parameters, part: Tensor) -> tuple[Tensor, Tensor]:
        inside = torch.minimum(_outlines(canvas, families, p, part), part + 1)
        return inside, annotate(inside, part, p)

    def _is_usable(self, masks: Tensor) -> Tensor:
        share = masks.mean((1, 2))
        return (share > _SMALLEST_SHARE) & (share < _LARGEST_SHARE)

    def _fallback(self, canvas: Canvas, count: int) -> tuple[Tensor, Tensor]:
        """A round spot in the middle third: always visible, and rare."""
        one = torch.ones(count, device=self.device)
        inside = blob(canvas, canvas.points(count, 0.35), 6 * one, one, one, 0.3 * one)
        return inside, (inside > 0).float()

    def _clear_some(self, draw: Draw, inside: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        order = torch.arange(len(masks), device=self.device) % self.n_images
        clear = (draw.chance(self.defect_free, len(masks)) & (order >= 2))[:, None, None]
        return torch.where(clear, _NOTHING, inside), torch.where(clear, 0.0, masks)


@dataclass(frozen=True)
class _Scene:
    """What P plates show before any defect: `episode` (P,) int64, `surface`, `turn` and `light` (P,) radians."""

    n_episodes: int
    episode: Tensor
    surface: Parameters
    turn: Tensor
    light: Tensor

    @classmethod
    def sample(cls, draw: Draw, n_episodes: int, n_images: int) -> _Scene:
        """One surface per episode; in most of them some plates each show another, and in some the plates are turned."""
        episode = torch.arange(n_episodes, device=draw.device).repeat_interleave(n_images)
        home = stack([sample_surface(draw) for _ in range(n_episodes)], draw.device)
        away = stack([sample_surface(draw) for _ in range(len(episode))], draw.device)
        travels = draw.chance(0.6, n_episodes)[episode] & draw.chance(0.6, len(episode))
        surface = {name: torch.where(travels, away[name], home[name][episode]) for name in home}
        turn = draw.uniform(0, 2 * math.pi, len(episode)) * draw.chance(0.2, n_episodes)[episode]
        turn = turn + math.pi / 2 * draw.integers(0, 2, len(episode)) * draw.chance(0.25, n_episodes)[episode]
        surface["angle"] = surface["angle"] + turn
        return cls(n_episodes, episode, surface, turn, draw.uniform(0, 2 * math.pi, len(episode)))

    def shadowed(self, draw: Draw, classes: _Classes) -> _Scene:
        """In a part of the episodes every plate has bands as dark, or as bright, as the defect, and sound all the same.

        Then brightness alone tells nothing, and the support shows as much.
        """
        count = len(self.episode)
        alike = draw.chance(0.35, self.n_episodes)[self.episode]
        contrast = classes.parameters["contrast"][self.episode] * draw.uniform(0.5, 1.3, count)
        bands = {"bands": draw.uniform(0.5, 3, count), "band_contrast": contrast}
        changed = {name: torch.where(alike, values, self.surface[name]) for name, values in bands.items()}
        return replace(self, surface=self.surface | changed)


@dataclass(frozen=True)
class _Classes:
    """One defect class per episode: families (B,) int64, and their parameters (B,) each."""

    families: Tensor
    parameters: Parameters

    @classmethod
    def sample(cls, draw: Draw, n_episodes: int) -> _Classes:
        drawn = [sample_defect(draw) for _ in range(n_episodes)]
        families = torch.tensor([index for index, _ in drawn], device=draw.device)
        return cls(families, stack([parameters for _, parameters in drawn], draw.device))

    def disguised(self, draw: Draw, other: _Classes) -> _Classes:
        """In half of the episodes with the look of another class: then the shape alone tells the two apart."""
        alike = draw.chance(0.5, len(self.families))
        look = {name: torch.where(alike, other.parameters[name], self.parameters[name]) for name in _LOOK}
        return _Classes(self.families, self.parameters | look)

    def on_plates(self, draw: Draw, scene: _Scene) -> Parameters:
        """The class as each plate sees it: turned with the plate, nearer or farther, and as varied as the class is."""
        p = take(self.parameters, scene.episode)
        count = len(scene.episode)
        p["angle"] = torch.where(p["aligned"] > 0, scene.surface["angle"], p["angle"] + scene.turn)
        zoom = torch.exp(0.15 * draw.normal(count))
        varied = {name: torch.exp(p["variety"] * draw.normal(count)) for name in (*_LENGTHS, "soft_px", "contrast")}
        lengths = {name: (p[name] * zoom * varied[name]).clamp_min(_SMALLEST_PX) for name in _LENGTHS}
        return p | lengths | {name: p[name] * varied[name] for name in ("soft_px", "contrast")}


def _outlines(canvas: Canvas, families: Tensor, p: Parameters, part: Tensor) -> Tensor:
    """Inside-ness (P, S, S), each plate by its own family."""
    inside = torch.empty_like(part)
    for family in torch.unique(families).tolist():
        index = (families == family).nonzero()[:, 0]
        inside[index] = FAMILIES[family].outline(canvas, take(p, index), part[index])
    return inside

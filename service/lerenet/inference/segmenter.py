"""Shots in, encodings out; images and encodings in, probability maps out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import torch
from torch import nn

from lerenet.inference.assessment import Assessment, RegionTally
from lerenet.inference.blending import BlendedMap
from lerenet.inference.confidence import PLAIN, Confidence
from lerenet.inference.crops import SUPPORT_SIDE_PX
from lerenet.inference.device import free_memory
from lerenet.inference.encodings import ClassEncoding, dump_encoding, load_encoding
from lerenet.inference.fitting import Fitting, add_correction, correction
from lerenet.inference.geometry import ratio_of, to_probability, working_size
from lerenet.inference.jobs import PreparedJobs, SegmentationJob, looks_of
from lerenet.inference.mapmaker import Mapmaker
from lerenet.inference.precision import Precision
from lerenet.inference.runner import MAX_BATCH_PIXELS, NetworkRunner, grouped
from lerenet.inference.scale import LADDER, choose_scale
from lerenet.inference.support_view import SupportView, view_support
from lerenet.inference.tiles import OVERLAP_PX, TILE_PX, cut_frame
from lerenet.inference.trials import plan_trials, summarise_support, turned, varied
from lerenet.inference.upload import Upload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from lerenet.imaging import Image, Shot
    from lerenet.inference.acceleration import Acceleration
    from lerenet.inference.protocol import FewShotNetwork
    from lerenet.inference.trials import SupportTrials, Trial
    from lerenet.network import SupportEncoding

__all__ = ["Assessment", "ClassEncoding", "SegmentationJob", "Segmenter"]

CLASS_SHARE = 0.2
"""Cost of one class on an image, as a part of what the image costs by itself."""


class Segmenter:
    """Runs a network on images of any size. Its answers depend on its arguments alone, not on who shares a batch.

    Args:
        network: On `device`, in eval mode; it is only read.
        device: Where the network is.
        precision: See `settled_precision`.
        tile_px: Longest side of a tile, at the working scale.
        overlap_px: Least overlap of tiles, at the working scale.
        support_side_px: Longest side of a support image, at the working scale; larger ones are cropped.
        max_batch_pixels: Pixels, at the working scale, that go through the network at once.
        ladder: Working scales to choose from.
        on_progress: Called after each run of the network, many times in a long call: a sign of life.
        acceleration: How the network is run on images; see `accelerated`.
    """

    def __init__(
        self,
        network: FewShotNetwork,
        device: torch.device,
        *,
        precision: Precision = "auto",
        tile_px: int = TILE_PX,
        overlap_px: int = OVERLAP_PX,
        support_side_px: int = SUPPORT_SIDE_PX,
        max_batch_pixels: int = MAX_BATCH_PIXELS,
        ladder: Sequence[float] = LADDER,
        on_progress: Callable[[], None] = lambda: None,
        acceleration: Acceleration = "auto",
    ) -> None:
        if isinstance(network, nn.Module) and any(
            m.training for m in network.modules() if isinstance(m, nn.BatchNorm2d)
        ):
            raise ValueError("the network is in training mode: call its eval() first")
        self._runner = NetworkRunner(
            network,
            device,
            precision=precision,
            max_batch_pixels=max_batch_pixels,
            on_progress=on_progress,
            acceleration=acceleration,
        )
        self._mapmaker = Mapmaker(self._runner, getattr(network, "frame_means", ()))
        self._confidence = Confidence(*(getattr(network, "confidence", None) or PLAIN))
        self._fitted: tuple[str, ...] = getattr(network, "fitted", ())
        self._device = device
        self._multiple = network.stride_multiple
        self._tile_px = tile_px
        self._overlap_px = overlap_px
        self._support_side_px = support_side_px
        self._ladder = tuple(ladder)

    # -- classes

    def encode(self, shots: Sequence[Shot], normals: Sequence[Image] = ()) -> ClassEncoding:
        """Encodes a support set at a working scale that fits its defects, and fits the encoding to the shots.

        Args:
            shots: One at least, each with something marked.
            normals: Defect-free images, which sharpen what counts as background.
        """
        *_, encoding = self.encode_in_steps(shots, normals)
        assert encoding is not None
        return encoding

    def encode_unfitted(self, shots: Sequence[Shot], normals: Sequence[Image] = ()) -> ClassEncoding:
        """As `encode`, without fitting: in a fraction of the time, and less good."""
        scale = choose_scale([shot.mask for shot in shots], self._ladder)
        return ClassEncoding(scale, summarise_support(self._runner, self._view(shots, normals, scale)))

    def encode_in_steps(self, shots: Sequence[Shot], normals: Sequence[Image] = ()) -> Iterator[ClassEncoding | None]:
        """As `encode`, a short piece of work at a time: yields None after each, and the encoding at the end."""
        if not self._fitted:
            yield self.encode_unfitted(shots, normals)
            return
        scale = choose_scale([shot.mask for shot in shots], self._ladder)
        # a descent follows the order it is given, and the order of the shots must not matter
        in_order = sorted(shots, key=lambda shot: (shot.image.tobytes(), shot.mask.tobytes()))
        trials = self._trials(in_order, normals, scale, varied)
        fitting = Fitting(self._runner, trials.all, self._fitted)
        while fitting.n_left:
            yield None
            fitting.step()
        yield ClassEncoding(scale, fitting.corrected(trials.whole).detached())

    @torch.no_grad()
    def assess(self, shots: Sequence[Shot], normals: Sequence[Image], encoding: ClassEncoding) -> Assessment:
        """Segments each shot by the others, and suggests a threshold and a least score.

        A single shot is tried on itself, turned by quarters. Each normal is segmented with an encoding that has not
        seen it; whatever is found there is false. What fitting has added to `encoding` goes onto all of these. Large
        images are judged by their crops, and at the working scale.

        Args:
            shots: One at least.
            normals: Defect-free images, as for `encode`.
            encoding: What `encode` made of them.
        """
        trials = self._trials(shots, normals, encoding.scale, turned)
        added = correction(encoding.encoding, trials.whole)
        tally = RegionTally(ratio_of(encoding.scale), is_unseen=len(shots) > 1)
        for q, trial in self._answers(trials.shots, added):
            tally.add(q, trial.mask.cpu().numpy())
        for normal in trials.normals:
            tally.add_normal(q for q, _ in self._answers(normal, added))
        return tally.assess(self._confidence)

    def dump(self, encoding: ClassEncoding) -> bytes:
        """The encoding as bytes, for a cache."""
        return dump_encoding(encoding)

    def load(self, data: bytes) -> ClassEncoding:
        """Back from `dump`, onto the device.

        Raises:
            ValueError: Truncated, damaged, or not such a dump.
        """
        loaded = load_encoding(data)
        return ClassEncoding(loaded.scale, loaded.encoding.to(self._device))

    def free_memory(self) -> None:
        """Gives the device back what is only held for speed, after its memory ran out."""
        self._runner.forget()
        free_memory()

    # -- images

    def weigh(self, job: SegmentationJob) -> int:
        """Cost of a job in pixels at the working scale: what a batcher should add up."""
        pixels: int = job.image.shape[0] * job.image.shape[1]
        n_classes = Counter(each.scale for each in job.classes)
        return round(sum(pixels * scale * scale * (1 + CLASS_SHARE * n) for scale, n in n_classes.items()))

    def segment(self, jobs: Sequence[SegmentationJob]) -> list[list[NDArray[np.uint8]]]:
        """Probability maps of every class on every image.

        Args:
            jobs: Any number, of any sizes.

        Returns:
            Per job, per class in the job's order: (H, W) uint8 of the original size, round(255 p).
        """
        return self.run(self.prepare(jobs))

    def prepare(self, jobs: Sequence[SegmentationJob]) -> PreparedJobs:
        """The host's part of `segment`; any thread may do it while the device works on other jobs."""
        maps = [[self._empty_map(job.image, each.scale) for each in job.classes] for job in jobs]
        looks = [look for job, own in zip(jobs, maps, strict=True) for look in looks_of(job, own)]
        groups = [
            [
                (part, Upload.packed([look.crop for look in part], self._device))
                for part in self._runner.batches(alike, alike[0].crop.size)
            ]
            for alike in grouped(looks, lambda look: look.crop.size)
        ]
        return PreparedJobs(maps, groups)

    def run(self, prepared: PreparedJobs) -> list[list[NDArray[np.uint8]]]:
        """The device's part of `segment`, once for each `prepare`."""
        return self._mapmaker.fill(prepared)

    def _trials(
        self,
        shots: Sequence[Shot],
        normals: Sequence[Image],
        scale: float,
        copy: Callable[[Shot], Sequence[Shot]],
    ) -> SupportTrials:
        """Trials of a support set; a single shot is tried on what `copy` makes of it."""
        view = self._view(shots, normals, scale)
        copies = self._view(copy(shots[0]), (), scale) if len(shots) == 1 else None
        return plan_trials(self._runner, view, copies)

    def _answers(self, trials: Sequence[Trial], added: SupportEncoding) -> Iterator[tuple[NDArray[np.uint8], Trial]]:
        """Maps of trials of one set of features, at the working scale."""
        if not trials:
            return
        features = trials[0].features
        for part in self._runner.batches(trials, features.size):
            encodings = [add_correction(trial.encoding, added) for trial in part]
            logits = self._runner.logits(features, encodings, [trial.crop for trial in part])
            yield from zip(to_probability(logits), part, strict=True)

    def _view(self, shots: Sequence[Shot], normals: Sequence[Image], scale: float) -> SupportView:
        ratio, side_px = ratio_of(scale), self._support_side_px
        return view_support(shots, normals, ratio=ratio, side_px=side_px, multiple=self._multiple, device=self._device)

    def _empty_map(self, image: Image, scale: float) -> BlendedMap:
        ratio = ratio_of(scale)
        height, width = image.shape[:2]
        size = working_size((height, width), ratio, self._multiple)
        grid = cut_frame(size, tile_px=self._tile_px, overlap_px=self._overlap_px, multiple=self._multiple)
        return BlendedMap(grid, (height, width), ratio)

"""What one replica can do, measured here: frames, encodings, and the sizes of what is kept and sent."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

from lerenet.bench.bare import BareNetwork, for_a_while
from lerenet.bench.material import SIDE_PX, as_png, draw_frames, draw_shots
from lerenet.inference.segmenter import Segmenter

if TYPE_CHECKING:
    import torch

    from lerenet.network import LERENet

N_SHOTS, BATCH = 3, 16
WINDOW_S = 5.0


def measure_network(network: LERENet, device: torch.device) -> dict[str, Any]:
    """Numbers of a plan, by name; takes half a minute on a CPU.

    Args:
        network: On the device, in eval mode, batch norms folded.
        device: Where it is.
    """
    [shots] = draw_shots(1, N_SHOTS)
    segmenter = Segmenter(network, device)
    began_s = time.perf_counter()
    encoding = segmenter.encode(shots)
    encode_s = time.perf_counter() - began_s
    frames = draw_frames(SIDE_PX, SIDE_PX)
    bare = BareNetwork.prepared(network, [shots], device)
    images = bare.tensor(frames[:BATCH])
    frame_s = statistics.median(each.wall_s for each in for_a_while(lambda: bare.spend(images, 1), WINDOW_S))
    return {
        "frames_per_s": 1 / frame_s,
        "encode_s": encode_s,
        "image_bytes": sum(len(as_png(shot.image)) + len(as_png(shot.mask * 255)) for shot in shots),
        "prototype_bytes": len(segmenter.dump(encoding)),
        "frame_bytes": round(statistics.mean(len(as_png(frame)) for frame in frames)),
    }

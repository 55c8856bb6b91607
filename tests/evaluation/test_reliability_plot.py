from __future__ import annotations

from pathlib import Path

import numpy as np

from lerenet.evaluation.reliability import plot_reliability
from lerenet.imaging import ImageLimits, decode_image
from lerenet.inference.reliability import ScoreBins


def test_diagram_is_a_picture_with_a_panel_for_each_entry(tmp_path: Path) -> None:
    some = ScoreBins.of(np.array([0.2, 0.8, 0.85]), np.array([False, True, True]))
    widths = []
    for n_panels in (1, 2):
        path = tmp_path / f"{n_panels}.png"
        plot_reliability({f"{n}-shot": {"ours": some, "none": ScoreBins()} for n in range(n_panels)}, path)
        widths.append(decode_image(path.read_bytes(), ImageLimits()).shape[1])
    assert widths[1] == 2 * widths[0]

import io
import math

from rich.console import Console

from lerenet.training.progress import BarProgress, LineProgress, Status, build_progress


def test_status_foretells_the_end_from_the_pace_of_this_process() -> None:
    times = iter([100.0, 160.0])
    status = Status(0.5, clock=lambda: next(times))
    # A tenth took a minute, four tenths are left.
    assert status.describe(60, 0.6, 2.0) == "step 60 · loss 2.000 · 0:04:00 left"


def test_status_does_not_guess_before_the_first_progress() -> None:
    assert Status(0.5, clock=lambda: 0.0).describe(1, 0.5, 1.0).endswith("? left")


def test_status_leaves_a_loss_that_is_not_finite_out_of_the_mean() -> None:
    status = Status(0.0, clock=iter([0.0, 1.0, 2.0]).__next__)
    status.describe(1, 0.1, 3.0)
    assert "loss 3.000" in status.describe(2, 0.2, math.nan)


def test_lines_keep_their_distance() -> None:
    lines: list[str] = []
    with LineProgress(Status(0.0), 1000.0, lines.append) as view:
        for step in range(1, 50):
            view.show(step, step / 100, 1.0)
        view.tell("held-out IoU 0.5")
    assert len(lines) == 2
    assert lines[0].startswith("  1.0% · step 1 ")
    assert lines[1] == "held-out IoU 0.5"


def test_progress_is_lines_when_there_is_no_terminal() -> None:
    file = io.StringIO()
    with build_progress(0.0, 0.0, Console(file=file)) as view:
        view.show(3, 0.5, 1.0)
    assert file.getvalue().startswith(" 50.0% · step 3 ")


def test_progress_is_a_bar_when_there_is_a_terminal() -> None:
    file = io.StringIO()
    with build_progress(0.0, 30.0, Console(file=file, force_terminal=True, width=120)) as view:
        assert isinstance(view, BarProgress)
        view.show(3, 0.5, 1.25)
        view.tell("held-out IoU 0.5")
    assert "50%" in file.getvalue()
    assert "loss 1.250" in file.getvalue()
    assert "held-out IoU 0.5" in file.getvalue()

"""The courses of all scenarios as one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from lerenet.bench.fleet.plan import Plan
    from lerenet.bench.fleet.scenarios import Course

_SMOOTHED_S = 20
_LEAST_AGE_S = 1e-3


def plot_courses(plan: Plan, courses: Sequence[Course], path: Path) -> None:
    """Draws ages of views, warm answers, statements and bytes over time.

    Args:
        plan: Of all courses.
        courses: In the order of the legend.
        path: PNG to write.
    """
    figure = Figure(figsize=(13, 8), layout="constrained")
    FigureCanvasAgg(figure)
    ((ages, warm), (queries, mib)) = figure.subplots(2, 2)
    for index, course in enumerate(courses):
        label, colour = f"{course.name}: {course.note}", f"C{index}"
        if len(course.ages_s):
            _draw_ages(ages, course, label, colour)
        if len(course.warm) and course.warm.min() < 1:
            _draw(warm, 100 * course.warm, label, colour)
        for axes, load in ((queries, course.queries), (mib, course.mib)):
            if len(course.warm) and course.warm.min() == 1:  # nothing happens in it that time would show
                axes.axhline(load.mean(), label=label, color=colour, linestyle="--")
            else:
                _draw(axes, load, label, colour)
    ages.set(title="Age of a replica's view of a change", xlabel="s after the commit", xscale="log")
    ages.set(ylabel="% of replicas that know", ylim=(0, 101))
    warm.set(title="Requests answered warm", xlabel="s", ylabel="%", ylim=(0, 101))
    queries.set(title="Statements a second (dashed: mean)", xlabel="s", yscale="log")
    mib.set(title="MiB a second to and from the database (dashed: mean)", xlabel="s", yscale="log")
    for axes in (ages, warm, queries, mib):
        axes.grid(alpha=0.3)
    handles, labels = queries.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize="small")
    figure.suptitle(
        f"{plan.n_replicas:,} replicas, {plan.n_classes:,} classes, {plan.requests_per_s:g} requests/s each"
    )
    figure.savefig(path, dpi=120)


def _draw_ages(axes: Axes, course: Course, label: str, colour: str) -> None:
    ages_s = np.sort(np.maximum(course.ages_s, _LEAST_AGE_S))
    axes.plot(ages_s, np.linspace(0, 100, len(ages_s)), label=label, color=colour)


def _draw(axes: Axes, values: NDArray[np.float64], label: str, colour: str) -> None:
    """A mean over some seconds; the table has the peaks."""
    width = min(_SMOOTHED_S, len(values))
    smooth = np.convolve(values, np.full(width, 1 / width), mode="valid")
    axes.plot(np.arange(len(smooth)) + width / 2, smooth, label=label, color=colour)

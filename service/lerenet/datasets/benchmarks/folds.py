"""Which classes there are, and which fold tests them.

Source: the lists in bbbbby-99/TGRNet-Surface-Defect-Segmentation (Surface Defects-4i, the same in
    DingH2E/LDMP-RENet-main @5b9e585) and the class tables of CPANet (FSSD-12).
"""

from __future__ import annotations

from dataclasses import dataclass

from lerenet.errors import ConfigurationError

N_FOLDS = 3


@dataclass(frozen=True, slots=True)
class BenchmarkClass:
    """A class of a benchmark.

    Attributes:
        id: Number in the lists, from 1.
        folder: Name of its folder, as the archive spells it.
        meaning: In words.
        fold: The fold that tests it; the others train on it.
    """

    id: int
    folder: str
    meaning: str
    fold: int


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A data set with its folds.

    Attributes:
        name: As the command line has it.
        title: As papers have it.
        classes: In the order of their ids.
    """

    name: str
    title: str
    classes: tuple[BenchmarkClass, ...]

    def novel_classes(self, fold: int) -> tuple[BenchmarkClass, ...]:
        """Those that a fold tests."""
        return tuple(each for each in self.classes if each.fold == fold)

    def base_classes(self, fold: int) -> tuple[BenchmarkClass, ...]:
        """Those that a fold trains on."""
        return tuple(each for each in self.classes if each.fold != fold)


def _benchmark(name: str, title: str, *folders: tuple[str, str]) -> Benchmark:
    """Four classes a fold, in order."""
    classes = (BenchmarkClass(i + 1, folder, meaning, i // 4) for i, (folder, meaning) in enumerate(folders))
    return Benchmark(name, title, tuple(classes))


BENCHMARKS = (
    _benchmark(
        "surface-defects-4i",
        "Surface Defects-4i",
        ("AI_Rm", "aluminium rub mark"),
        ("MT_Uneven", "magnetic tile uneven"),
        ("Steel_Ld", "steel liquid"),
        ("Steel_Am", "steel abrasion mask"),
        ("leather", "leather"),
        ("Steel_Pa", "steel patches"),
        ("Rail", "rail"),
        ("Steel_Sc", "steel scratches"),
        ("Al_Con", "aluminium convexity"),
        ("MT_Break", "magnetic tile break"),
        ("MT_Fray", "magnetic tile fray"),
        ("tile", "tile"),
    ),
    _benchmark(
        "fssd-12",
        "FSSD-12",
        ("Steel_Am", "abrasion mask"),
        ("Steel_Ia", "iron sheet ash"),
        ("Steel_Ld", "liquid"),
        ("Steel_Op", "oxide scale"),
        ("Steel_Os", "oil spot"),
        ("Steel_Ws", "water spot"),
        ("Steel_Pa", "patch"),
        ("Steel_Pk", "punching"),
        ("Steel_Ri", "red iron sheet"),
        ("Steel_Rp", "roll printing"),
        ("Steel_Sc", "scratch"),
        ("Steel_Se", "inclusion"),
    ),
)


def find_benchmark(name: str) -> Benchmark:
    """The benchmark of that name.

    Raises:
        ConfigurationError: There is none.
    """
    for benchmark in BENCHMARKS:
        if benchmark.name == name:
            return benchmark
    raise ConfigurationError(f"there is no benchmark {name!r}; there are {', '.join(each.name for each in BENCHMARKS)}")

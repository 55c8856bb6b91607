from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from cli.conftest import Run
from folders import write_benchmark, write_class
from lerenet.cli import train as command
from lerenet.datasets.benchmarks import find_benchmark
from lerenet.training import Outcome, TrainingConfig

pytestmark = pytest.mark.usefixtures("_no_curves")

SMALL = """
network = "tiny"
size_px = 64
n_episodes = 1
n_images = 3
steps = 2
num_workers = 0
validation_episodes = 1
validation_images = 3
device = "cpu"
"""
FIELDS = {
    "hours": "max_hours",
    "steps": "steps",
    "seed": "seed",
    "network": "network",
    "size": "size_px",
    "init_weights": "init_weights",
    "device": "device",
    "threads": "threads",
    "workers": "num_workers",
}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(SMALL, encoding="utf-8")
    return path


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[TrainingConfig]:
    """Configurations of the runs that would be made; each is stopped after a step."""
    found: list[TrainingConfig] = []

    def record(config: TrainingConfig, run_dir: Path, *, resume: bool) -> Outcome:
        found.append(config)
        return Outcome(1, None, is_complete=False)

    monkeypatch.setattr("lerenet.training.train", record)
    return found


def test_train_makes_weights(run: Run, small: Path, tmp_path: Path) -> None:
    result = run("train", small, "--out", tmp_path / "run")
    assert result.exit_code == 0
    assert (tmp_path / "run" / "weights-best.safetensors").exists()
    assert "2 steps, best held-out IoU" in result.output


def test_train_goes_on_with_the_run_in_its_folder(run: Run, small: Path, tmp_path: Path) -> None:
    run("train", small, "--out", tmp_path / "run")
    result = run("train", "--out", tmp_path / "run", "--steps", 3)
    assert result.exit_code == 0
    assert "3 steps" in result.output


def test_train_refuses_to_change_a_run(run: Run, small: Path, tmp_path: Path) -> None:
    run("train", small, "--out", tmp_path / "run")
    result = run("train", "--out", tmp_path / "run", "--seed", 5)
    assert result.exit_code == 1
    assert "error: the run was started with other settings (seed 1 -> 5)" in result.stderr


def test_hours_alone_replace_the_steps(run: Run, trained: list[TrainingConfig]) -> None:
    assert run("train", "--hours", 1.5).exit_code == 1  # stopped early
    assert (trained[0].max_hours, trained[0].steps) == (1.5, 0)


def test_hours_bound_the_steps_that_are_given(run: Run, trained: list[TrainingConfig]) -> None:
    run("train", "--hours", 1.5, "--steps", 9)
    assert (trained[0].max_hours, trained[0].steps) == (1.5, 9)


def test_options_win_over_the_file(run: Run, small: Path, trained: list[TrainingConfig]) -> None:
    run("train", small, "--size", 96, "--network", "metal", "--threads", 1, "--workers", 3, "--device", "auto")
    config = trained[0]
    assert (config.size_px, config.network, config.threads, config.num_workers) == (96, "metal", 1, 3)
    assert (config.device, config.n_images) == ("auto", 3)


def test_unknown_key_in_the_file_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("stepz = 3", encoding="utf-8")
    result = run("train", tmp_path / "run.toml")
    assert result.exit_code == 1
    assert "sets stepz" in result.stderr


def test_defaults_in_the_help_are_those_of_the_configuration() -> None:
    parameters = inspect.signature(command.train, eval_str=True).parameters
    for name, field in FIELDS.items():
        default = getattr(TrainingConfig(), field)
        shown = parameters[name].annotation.__metadata__[0].show_default
        assert shown == f"as in CONFIG, else {default if default or name == 'threads' else 'none'}"


def test_train_on_a_benchmark_says_what_chose_the_checkpoint(run: Run, tmp_path: Path) -> None:
    write_benchmark(tmp_path / "fssd", find_benchmark("fssd-12"), 2)
    words = ("--benchmark", "fssd-12", "--root", tmp_path / "fssd", "--network", "tiny", "--size", 64)
    result = run("train", *words, "--epochs", 1, "--workers", 0, "--device", "cpu", "--out", tmp_path / "run")
    assert result.exit_code == 0
    assert (
        "checkpoint chosen on Steel_Am, Steel_Ia, Steel_Ld, Steel_Op (the test list); label rule eq255" in result.output
    )
    assert (tmp_path / "run" / "weights-best.safetensors").exists()


def test_train_on_a_benchmark_names_every_fault(run: Run, tmp_path: Path) -> None:
    (tmp_path / "fssd").mkdir()
    result = run("train", "--benchmark", "fssd-12", "--root", tmp_path / "fssd")
    assert result.exit_code == 1
    assert result.stderr.count("fault: ") == 12
    assert "error: 12 faults in the data set, see above; nothing was done" in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--benchmark", "fssd-12"),
        ("--benchmark", "fssd-12", "--root", ".", "--steps", 3),
        ("--data", ".", "--benchmark", "fssd-12"),
    ],
)
def test_train_refuses_words_that_do_not_go_together(run: Run, words: tuple[object, ...]) -> None:
    assert run("train", *words).exit_code == 2


def test_fine_tuning_that_makes_nothing_better_says_so(
    run: Run, small: Path, tmp_path: Path, tiny_weights: Path
) -> None:
    write_class(tmp_path / "mine" / "bars", 4, 1)
    small.write_text(f"{SMALL}learning_rate = 0.0\n", encoding="utf-8")
    words = ("--data", tmp_path / "mine", "--init", tiny_weights, "--out", tmp_path / "run")
    result = run("train", small, *words)
    assert result.exit_code == 1
    assert "did not improve: the initial weights stay" in result.output
    assert (tmp_path / "run" / "model-card.md").exists()


def test_fine_tuning_names_every_bad_pair(run: Run, tmp_path: Path, tiny_weights: Path) -> None:
    write_class(tmp_path / "mine" / "bars", 6)
    for name in ("p00", "p01"):
        (tmp_path / "mine" / "bars" / "masks" / f"{name}.png").unlink()
    result = run("train", "--data", tmp_path / "mine", "--init", tiny_weights, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert result.stderr.count("fault: ") == 2
    assert not (tmp_path / "run").exists()

"""Fine-tuning, put together and carried out."""

from __future__ import annotations

import json
import platform
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lerenet.datasets.faults import open_whole_folder, refuse
from lerenet.errors import ConfigurationError
from lerenet.imaging.images import ImageLimits
from lerenet.network.weights import load_weights, weights_digest
from lerenet.training.assembly import prepare_device, training_plates, validation_plates
from lerenet.training.finetuning.card import CARD_FILE, MANIFEST_FILE, Story, n_synthetic, write_card, write_manifest
from lerenet.training.finetuning.episodes import FolderEpisodes, MixedEpisodes
from lerenet.training.finetuning.held_out import HeldOutFolder
from lerenet.training.finetuning.split import MIN_GROUPS, split_folder
from lerenet.training.history import code_version
from lerenet.training.loop import BEST_WEIGHTS, TrainingRun
from lerenet.training.records import record_plan
from lerenet.training.validation import HeldOutPlates

if TYPE_CHECKING:
    from lerenet.network.lerenet import LERENet
    from lerenet.training.config import TrainingConfig
    from lerenet.training.episodes import EpisodeSource
    from lerenet.training.finetuning.held_out import FolderJudgement
    from lerenet.training.finetuning.plan import FineTuningPlan
    from lerenet.training.finetuning.split import FolderSplit
    from lerenet.training.loop import Outcome

WEIGHTS_FILE, PLAN_FILE = "weights.safetensors", "fine-tuning.json"
_SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, eq=False)
class FineTuned:
    """How a fine-tuning ended.

    Attributes:
        outcome: Of the loop.
        before: The initial weights on the held-out part.
        after: The best weights on it; None where the run was stopped before its end.
        weights: The new weights; None where they are no better, or the run was stopped.
    """

    outcome: Outcome
    before: FolderJudgement
    after: FolderJudgement | None
    weights: Path | None


def fine_tune(config: TrainingConfig, plan: FineTuningPlan, run_dir: Path, *, resume: bool = True) -> FineTuned:
    """Fine-tunes the weights of `config.init_weights`; the folder is looked through before anything else.

    Args:
        config: Of the loop; see `FINE_TUNING`. Episodes have fewer images where a class has fewer groups.
        plan: What is learnt from.
        run_dir: As of `training.train`. At the end `model-card.md`, and where the held-out part has improved
            `weights.safetensors` and `manifest.toml`.
        resume: Go on with the run in `run_dir` if there is one; otherwise such a folder is refused.

    Raises:
        DatasetError: The folder has faults; its `faults` name them all.
        ConfigurationError: The folder holds another run, or the weights are of the `paper` network.
        WeightsError: The weights cannot be loaded.
    """
    classes = open_whole_folder(Path(plan.data), plan.label_rule, ImageLimits(), min_groups=MIN_GROUPS)
    split = split_folder(classes, config.seed)
    refuse(split.faults, Path(plan.data))
    config = replace(config, n_images=min(config.n_images, *(found.n_groups for found in split.learnt)))
    device = prepare_device(config)
    network = _load(config, device)
    record_plan(run_dir / PLAN_FILE, asdict(plan), _facts(split), ())
    held_out = HeldOutFolder(
        split, HeldOutPlates(validation_plates(config, device), config), plan.label_rule, config.seed
    )
    before = held_out.validate(network, device)
    started = time.monotonic()
    source = _source(config, plan, split, device)
    run = TrainingRun(config, run_dir, network=network, source=source, held_out=held_out, device=device, resume=resume)
    outcome = run.fit()
    if not outcome.is_complete:
        return FineTuned(outcome, before, None, None)
    after = held_out.validate(load_weights(run_dir / BEST_WEIGHTS, device), device)
    hours = max(time.monotonic() - started, _logged_s(run_dir)) / _SECONDS_PER_HOUR
    init = (Path(config.init_weights).name, weights_digest(Path(config.init_weights)))
    story = Story(plan, config, split, before, after, init, outcome.step, hours, _hardware(device), code_version())
    return FineTuned(outcome, before, after, _write(run_dir, story))


def _load(config: TrainingConfig, device: torch.device) -> LERENet:
    network = load_weights(Path(config.init_weights), device)
    if network.config.preset != "metal":
        raise ConfigurationError(
            f"{config.init_weights} is of the {network.config.preset} network, which compares equal positions and "
            f"sizes only; fine-tune weights of the metal network, or train on a benchmark"
        )
    return network


def _source(config: TrainingConfig, plan: FineTuningPlan, split: FolderSplit, device: torch.device) -> EpisodeSource:
    n_plates = n_synthetic(config, plan)
    real = FolderEpisodes(
        split.learnt,
        n_images=config.n_images,
        n_episodes=config.n_episodes - n_plates,
        size_px=config.size_px,
        seed=config.seed,
        rule=plan.label_rule,
    )
    if not n_plates:
        return real
    return MixedEpisodes(real, training_plates(replace(config, n_episodes=n_plates), device))


def _write(run_dir: Path, story: Story) -> Path | None:
    weights = run_dir / WEIGHTS_FILE
    if not story.is_better:
        write_card(run_dir / CARD_FILE, None, story)
        return None
    weights.write_bytes((run_dir / BEST_WEIGHTS).read_bytes())
    write_manifest(run_dir / MANIFEST_FILE, weights, load_weights(weights).config, story)
    write_card(run_dir / CARD_FILE, weights, story)
    return weights


def _logged_s(run_dir: Path) -> float:
    """Seconds of training that the history knows of, over all resumptions."""
    rows = (json.loads(line) for line in (run_dir / "history.jsonl").read_text(encoding="utf-8").splitlines())
    return max((row["elapsed_s"] for row in rows if "elapsed_s" in row), default=0.0)


def _facts(split: FolderSplit) -> dict[str, Any]:
    return {
        side: {found.name: [pair.id for pair in found.pairs] for found in classes}
        for side, classes in (("learnt", split.learnt), ("held_out", split.held_out))
    }


def _hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.processor() or platform.machine()} CPU, {torch.get_num_threads()} threads"

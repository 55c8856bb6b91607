"""What a run was asked for and what it found, as JSON beside its configuration; a resumed run is held against it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lerenet.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path


def record_plan(path: Path, plan: Mapping[str, Any], facts: Mapping[str, Any], may_change: Collection[str]) -> None:
    """Writes the record, or refuses where the one that is there is of another plan.

    Args:
        path: The file; its folder is made when missing.
        plan: What was asked for, as values of JSON.
        facts: What was found.
        may_change: Names of the plan that a resumed run may set anew.

    Raises:
        ConfigurationError: The plan differs in something else.
    """
    if path.exists():
        earlier = json.loads(path.read_text(encoding="utf-8"))["plan"]
        changed = [name for name, value in plan.items() if earlier.get(name) != value and name not in may_change]
        if changed:
            listed = ", ".join(f"{name} {earlier.get(name)!r} -> {plan[name]!r}" for name in changed)
            raise ConfigurationError(f"{path.parent} holds a run of another plan ({listed}); name a new run folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"plan": plan, **facts}, indent=2) + "\n", encoding="utf-8")

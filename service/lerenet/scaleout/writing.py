"""Writes the Serve config file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from lerenet.files import replacing

if TYPE_CHECKING:
    from pathlib import Path

    from lerenet.scaleout.plan import ServeConfig
    from lerenet.settings import Settings

_HEAD = """# Written by `lerenet scaleout`: `serve deploy FILE` on a cluster, `serve run FILE` to try it.
# ${NAME} under env_vars is what the node has in that variable. controller_options count at Serve's first start alone.
"""


def write_config(path: Path, config: ServeConfig, settings: Settings) -> None:
    """Writes a config file, whole or not at all.

    Args:
        path: Of the file.
        config: What it says.
        settings: Of the replicas, for the bounds that follow from them.
    """
    text = _HEAD + yaml.safe_dump(config.document(settings), sort_keys=False, allow_unicode=True)
    with replacing(path) as file:
        file.write(text.encode())

"""Names of the tensors in a metal support encoding."""

FOREGROUND = "foreground"
BACKGROUND = "background"
NODES = "nodes"


def foreground_bank(level: int) -> str:
    """Name of a level's bank of foreground descriptors, (B, n, C)."""
    return f"foreground_bank_{level}"


def background_bank(level: int) -> str:
    """Name of a level's bank of background descriptors, (B, n, C)."""
    return f"background_bank_{level}"

"""Names of the tensors in a metal support encoding, and of the terms that features share."""

FINEST = 0
"""The finest level of the trunk."""

FOREGROUND = "foreground"
BACKGROUND = "background"
PROTOTYPES = "prototypes"
NODES = "nodes"


def foreground_bank(level: int) -> str:
    """Name of a level's bank of foreground descriptors, (B, n, C)."""
    return f"foreground_bank_{level}"


def background_bank(level: int) -> str:
    """Name of a level's bank of background descriptors, (B, n, C)."""
    return f"background_bank_{level}"


def descriptor(level: int) -> str:
    """Name of a level's descriptors among the features' shared terms, (B, d, h, w) of unit length."""
    return f"descriptor_{level}"


def discriminant(level: int) -> str:
    """Name of a level's linear discriminant, (B, d + 1): a direction, and the offset behind it."""
    return f"discriminant_{level}"


def fitted(n_levels: int) -> tuple[str, ...]:
    """Names of the tensors that registration fits to the shots: all but the banks, which are what was seen."""
    return (FOREGROUND, BACKGROUND, PROTOTYPES, NODES, *(discriminant(level) for level in range(n_levels)))

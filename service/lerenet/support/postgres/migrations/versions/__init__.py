"""One file per version, none ever changed afterwards."""

"""Procedural metal plates: surfaces, defects, and endless few-shot episodes made of them."""

from lerenet.synthetic.episodes import EpisodeBatch, EpisodeGenerator

__all__ = ["EpisodeBatch", "EpisodeGenerator"]

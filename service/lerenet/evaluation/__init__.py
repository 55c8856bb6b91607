"""Measuring: one protocol for folders of images, baselines, reports."""

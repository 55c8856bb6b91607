"""Marked images on disk: folders of one's own, and the published benchmarks. Needs numpy and Pillow only.

Training and evaluation read them alike, so that both mean the same by a class, a group, a label and a fold.
"""

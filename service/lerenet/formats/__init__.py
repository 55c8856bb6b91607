"""Masks in the forms of other tools: polygons, COCO, Label Studio, CVAT, LabelMe. Needs numpy only."""

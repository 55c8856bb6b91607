"""Pixels in and out: decoding with limits, masks, their codecs, overlap counts. Needs numpy and Pillow only."""

from lerenet.imaging.images import Image, ImageLimits, decode_image, encode_image_png
from lerenet.imaging.masks import Mask, check_pair, decode_mask, mask_from_probability, threshold_level
from lerenet.imaging.overlap import OverlapCounts, overlap
from lerenet.imaging.png import class_colour, encode_bilevel_png, encode_grey_png, encode_palette_png
from lerenet.imaging.rle import CocoRle, decode_coco_rle, encode_coco_rle, rle_counts
from lerenet.imaging.shots import Shot
from lerenet.imaging.types import image_type

__all__ = [
    "CocoRle",
    "Image",
    "ImageLimits",
    "Mask",
    "OverlapCounts",
    "Shot",
    "check_pair",
    "class_colour",
    "decode_coco_rle",
    "decode_image",
    "decode_mask",
    "encode_bilevel_png",
    "encode_coco_rle",
    "encode_grey_png",
    "encode_image_png",
    "encode_palette_png",
    "image_type",
    "mask_from_probability",
    "overlap",
    "rle_counts",
    "threshold_level",
]

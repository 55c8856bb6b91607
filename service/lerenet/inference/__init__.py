"""From decoded pixels to masks: working scale, tiles, batching and the one thread that owns the device.

Import the module that is needed: `batcher`, `scale`, `tiles` and `regions` load no torch, the others do.
"""

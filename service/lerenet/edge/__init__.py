"""HTTP in processes of its own, the *edges*: they decode and render; the *core* keeps registry, queue and device.

One interpreter has one lock. An edge speaks HTTP on the shared port, answers frames with one round trip to the core
over its *link*, and hands everything else on as it is. Only the modules of the core load torch: `core`, `crew`, `desk`.
"""

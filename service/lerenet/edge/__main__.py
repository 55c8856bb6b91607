"""What the core starts: `python -m lerenet.edge LINK BOARD LISTENER...`, descriptors all."""

from lerenet.edge.process import main

main()

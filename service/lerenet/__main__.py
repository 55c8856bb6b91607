"""`python -m lerenet`."""

from lerenet.cli.main import main

main()

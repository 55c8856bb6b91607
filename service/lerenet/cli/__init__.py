"""The command line `lerenet`: one module a command, imported only when it is chosen."""

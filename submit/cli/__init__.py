"""The command line of `python -m submit`."""

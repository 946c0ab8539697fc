"""Challenges' submission files: one file a format, each with `write` and `check`."""

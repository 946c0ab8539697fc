"""Challenges' submission files: one file a format, with `write`, `check` and its line of the table, `FORMAT`."""

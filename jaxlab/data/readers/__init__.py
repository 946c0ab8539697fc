"""Readers of file formats, which know nothing of challenges."""

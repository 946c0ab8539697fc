"""What came of a run, or of several: read once, shown as a page, on a terminal and in a notebook."""

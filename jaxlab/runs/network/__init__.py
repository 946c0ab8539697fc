"""A trained network as a run."""

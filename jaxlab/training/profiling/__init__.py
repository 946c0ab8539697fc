"""A profiler's trace of a few steps, and where their time goes."""

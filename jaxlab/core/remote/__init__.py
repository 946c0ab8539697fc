"""Run directories in stores: s3://bucket/run, gs://bucket/run, or whatever fsspec knows.

A run is trained and read in a copy in the cache, and the store has its files under their own names, so that any tool
may copy it. A checkpoint is there once its manifest.json is, which is sent last and removed first.
"""

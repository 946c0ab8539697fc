"""Data written once as a TensorFlow dataset, resized, in ArrayRecord shards."""

"""Scores and predictions of trained parameters."""

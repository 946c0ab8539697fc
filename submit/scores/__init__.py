"""Predictions against the truth: tables of scores, comparisons, intervals, misaligned ids."""

"""Layers that models and heads are built of."""

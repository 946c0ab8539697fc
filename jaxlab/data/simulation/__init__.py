"""Simulated scenes and a simulated population of neurons that sees them."""

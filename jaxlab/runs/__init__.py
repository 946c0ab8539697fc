"""What the commands do: networks, ridge regressions, folds and soups as run directories."""

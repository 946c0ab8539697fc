"""The words that every room uses: configs, types, parameter trees, random keys, the cache, plots."""

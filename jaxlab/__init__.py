"""jaxlab: from a challenge's images to a winning submission."""

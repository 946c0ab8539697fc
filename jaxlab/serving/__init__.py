"""A run behind HTTP: images in, predictions out, as JSON and on a page (`jaxlab serve`; the extra `serve`)."""

"""What `make docs` generates: the pages of components, and docstrings as the site shows them."""

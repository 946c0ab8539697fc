"""The site: `make docs` builds it into site/. Pages of components, commands and the API are made from the code."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tools")]

from docsite import api, components, floors  # noqa: E402

project = "jaxlab"
author = "the jaxlab developers"
version = release = version_of("jaxlab")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "sphinx_click", "sphinx_copybutton"]
exclude_patterns = ["_made"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
nb_execution_mode = "off"  # its outputs are committed, and tests/test_tour.py runs it
myst_heading_anchors = 3
default_role = "code"
myst_links_external_new_tab = True

# A name is shown with its arguments as the source has them, one a line where they are many.
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
maximum_signature_line_length = 90
python_use_unqualified_type_names = True
python_display_short_literal_types = True
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "pydata_sphinx_theme"
html_title = "jaxlab"
html_static_path = ["_static"]
html_css_files = ["jaxlab.css"]
html_show_sourcelink = False
html_show_copyright = False
html_theme_options = {
    "navbar_align": "left",
    "navbar_center": ["navbar-nav"],
    "navbar_end": ["theme-switcher"],
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": [],
    "footer_end": [],
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}
html_sidebars = {"index": []}


def setup(app: Any) -> None:
    """Make what is generated before Sphinx looks which pages there are."""
    components.write(HERE / "components")
    floors.write(HERE / "_made")
    app.connect("autodoc-process-docstring", api.docstring)
    app.connect("autodoc-process-signature", api.signature)
    app.connect("autodoc-skip-member", api.skipped)

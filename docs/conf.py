"""How Sphinx builds the documentation site; `scripts/docs` runs it, offline, with warnings as errors."""

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS / "_extensions"), str(DOCS.parent / "src")]

import starktrack  # noqa: E402

project = "starktrack"
author = "The starktrack authors"
copyright = author
version = release = starktrack.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "reference", "repository_links"]
exclude_patterns = ["_extensions"]
source_suffix = {".md": "markdown"}

# Pages name their sections in links as GitHub does: `training.md#when-it-fails`.
myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]

# Names in single backticks link to the API where it has them, and are code where it has not.
default_role = "name-or-code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Convention", "Source"]
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"starktrack {release}"
html_copy_source = False
html_use_index = html_domain_indices = False
html_show_sourcelink = False
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["site.css"]

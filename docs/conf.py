"""Sphinx configuration; `make docs` builds with warnings as errors."""

from __future__ import annotations

import mattelike

project = "mattelike"
author = "The mattelike developers"
copyright = "2026, the mattelike developers"
release = version = mattelike.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "mattelike"
html_static_path = ["_static"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
# Prompts of a console are not part of what is copied.
copybutton_prompt_text = r"\$ |>>> "
copybutton_prompt_is_regexp = True

# Names in docstrings stand in single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
python_maximum_signature_line_length = 88

"""How the pages are built: Sphinx, furo and MyST; `nox -s docs` fails on a link or anchor that leads nowhere."""

from __future__ import annotations

from aigateway import __version__

project = "aigateway"
author = "aigateway contributors"
copyright = "2026, aigateway contributors"  # noqa: A001  # Sphinx reads this name
release = __version__

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nitpicky = True

html_theme = "furo"
html_title = f"aigateway {release}"
html_copy_source = False

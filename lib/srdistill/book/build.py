"""The call of Sphinx, with all of its settings: nothing in the built site asks another host for anything."""

from pathlib import Path

from sphinx.application import Sphinx

from srdistill.book.docstrings import columns_as_list
from srdistill.book.source import CLICKS, STYLE, write_source

SETTINGS = {
    "project": "Dataset distillation for super-resolution",
    "author": "the authors of srdistill",
    "copyright": "the authors of srdistill",
    "extensions": [
        "myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax", "sphinxcontrib.bibtex",
        "sphinx-mathjax-offline",
    ],
    "html_theme": "sphinx_book_theme",
    "html_title": "Dataset distillation for super-resolution",
    "html_static_path": ["_static"],
    "html_css_files": [STYLE],
    "html_js_files": [CLICKS],
    "html_theme_options": {"use_download_button": True, "show_toc_level": 2, "show_navbar_depth": 1},
    "html_show_sourcelink": False,
    "nb_execution_mode": "off",
    "nb_merge_streams": True,
    "myst_enable_extensions": ["dollarmath", "colon_fence", "deflist"],
    "myst_heading_anchors": 2,
    "bibtex_bibfiles": ["references.bib"],
    "bibtex_default_style": "plain",
    "autodoc_typehints": "signature",
    "autodoc_member_order": "bysource",
    "exclude_patterns": ["_build"],
    # Cells begin with a heading of their own; docstrings are prose that names parameters as code.
    "suppress_warnings": ["myst.header", "mystnb.unknown_mime_type", "autodoc", "docutils", "ref.python", "myst.xref_missing"],
}  # fmt: skip


def build(folder: Path, quiet: bool = False, repository: str = "") -> Path:
    """Build the site into ``folder/site`` from pages in ``folder/book``; its front page. ``repository``: see ``write_source``.

    Raises FileNotFoundError where there are no tables; RuntimeError if Sphinx reports an error; ValueError as
    ``write_source`` does.
    """
    source, site = folder / "book", folder / "site"
    write_source(source, repository)
    settings = {name: ",".join(value) if name == "extensions" else value for name, value in SETTINGS.items()}
    app = Sphinx(
        srcdir=source, confdir=None, outdir=site, doctreedir=folder / "doctrees", buildername="html", freshenv=True,
        confoverrides=settings, **({"status": None} if quiet else {}),
    )  # fmt: skip
    app.connect("autodoc-process-docstring", columns_as_list)
    app.build()
    if app.statuscode:
        raise RuntimeError("Sphinx could not build the site; see what it said above")
    return site / "index.html"

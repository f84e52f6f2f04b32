"""The site: ``make report`` builds a book of the notebooks, the tables, the claims and the library, which needs no network.

``source``       what Sphinx reads: pages of its own, the notebooks as they are committed, a page for each table
``table_pages``  tables that can be sorted and searched
``set_files``    sets to take away
``api_pages``    the library, module by module, from its docstrings
``build``        settings of Sphinx, and the call
``pages``        what is written by hand: front page, reading order, glossary, bibliography
"""

"""The documentation site: what its pages take from the code, and what it does besides building pages.

`python -m k8s.docs_site` writes the generated parts of the pages in docs/ (`make generate`). Such a part stands between
two comments, `<!-- generated KIND of NAME -->` and `<!-- end -->`; `pages.py` lists the kinds. Everything else is
written by hand. `hooks.py` belongs to MkDocs, which builds the site (`make docs`).
"""

"""`python -m k8s.reference_pages`: write what the pages of docs/reference take from the code (`make generate`).

A generated part stands between two comments of a page, `<!-- generated KIND of NAME -->` and `<!-- end -->`; `pages.py`
lists the kinds. Everything else on a page is written by hand.
"""

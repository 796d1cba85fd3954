"""Everything that runs a stage on Kubernetes: the operator, the `helm test`, and the charts' generated files.

Owns what builds the images and a cluster on a laptop too (`scripts`, `kind`, `image`). The charts are in `charts/`.
"""

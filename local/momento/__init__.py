"""Momento emulator: one in-memory hub behind a gRPC and a gRPC-web front, for unmodified Momento SDKs.

`python -m local.momento --help` lists the options; README.md beside this file holds the admin calls, and what of
the real service is documented, what is guessed and which switch turns each guess.
"""

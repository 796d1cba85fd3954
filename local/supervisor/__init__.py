"""Starts, watches and stops the processes of the local stack, and prints their output.

Which processes these are belongs to `local.plan`. The supervisor uses only the standard library, to use little memory.
"""

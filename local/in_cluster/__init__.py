"""The local stack in a cluster (charts/notification-local): the programs that differ from those on a laptop.

The emulators are the same. Here are the bootstrap, which prints Helm values, and the application's server, which is
reached through `make forward`.
"""

"""The embedded stack inside a cluster: what differs from a laptop is only who listens where."""

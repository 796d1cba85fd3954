"""The emulated AWS: MiniStack, with the access checks that it lacks.

It rejects web pages (`local.web_access`) and requests without the signature of this run's key pair, and serves only the
paths that the system uses. The emulation itself is MiniStack's.
"""

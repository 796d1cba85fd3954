"""The emulated AWS: MiniStack, with what it lacks to stand on a developer's machine.

It checks who asks (web pages by `local.web_access`, the signatures of the root key pair) and serves only the paths that
the system uses. It does not emulate anything itself.
"""

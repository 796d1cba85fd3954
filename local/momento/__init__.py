"""The Momento emulator: an in-memory service with a gRPC and a gRPC-web front, for unmodified Momento SDKs.

It owns all of Momento that the system uses: keys, tokens, caches and topics with their quotas, and injected faults. It
knows nothing of the services. `python -m local.momento --help` lists the options. README.md in this folder documents
the admin calls, which behaviour of the real service is known, and the switches for what is not.
"""

"""The local stack: the whole system on one machine, without an account.

Owns the supervisor, the emulated AWS and Momento, the application's server, the demonstration and the forward from a
cluster. The services run unchanged from `services`; the stage is created with `k8s.operator.resources`.
"""

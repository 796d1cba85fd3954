"""Watches Stages, provisions them and removes them again.

Owns the kopf handlers, one controller per Stage, the reconcile loop, finalizers and the order of a removal. Does not
know how AWS and Momento resources are made (`resources`), how replicas are decided and set (`scaling`, `policy`), or
how the conditions Ready and Degraded are judged (`health`).
"""

"""The AWS and Momento resources of a stage: create, adopt, correct drift, delete.

Owns queues, user pool, client and cache, the tags that say which stage owns them, and the translation of AWS' and
Momento's errors. Plain async functions without kopf and Kubernetes, so the local stack uses them too. Scaling, status
and Events belong to the packages beside it.
"""

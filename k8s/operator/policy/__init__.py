"""The scaling policy: how many replicas a stage's processor should have, and why.

Pure functions of what was observed, the stage's settings and the time; nothing here reads or writes. Reading the queue
and the pods, changing the Deployment and reporting belong to `k8s.operator.scaling`.
docs/explanation/scaling.md explains the rule.
"""

"""Scales a stage's processor: polls the queue and the pods, lets the policy decide, changes the Deployment, reports.

Owns the loop, the reads, and what is derived from several reads (counter windows, pod start times, slots). The decision
is made in `k8s.operator.policy`, Kubernetes objects are read and written by `k8s.operator.api`, and the condition
`Ready` belongs to `k8s.operator.health`.
"""

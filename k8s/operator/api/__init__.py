"""Reads and writes Kubernetes objects, and reads the operations ports of pods.

Owns the API client, the Stage and its status, Events, the ConfigMap with a stage's outputs, and the types into which
Deployments and pods are read. Decides nothing: `scaling`, `health` and `controller` do.
"""

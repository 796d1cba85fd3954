"""The operator, one per cluster: provisions, scales and removes the stages that Stage resources describe.

`controller` runs one controller per Stage on top of `scaling` (number of processors) and `health` (conditions Ready and
Degraded). `api` reads and writes Kubernetes objects, `resources` AWS and Momento, `policy` decides without I/O.
"""

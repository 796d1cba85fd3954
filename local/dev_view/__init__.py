"""The developer's view at `/dev`: tasks with their log lines, dead letters, and switches for faults.

It reads what the stack has anyway (log files, the emulators, the dead-letter command), so nothing of it is in the
services. Only `make up` has it: no image of a stage, and not the application's server in a cluster.
"""

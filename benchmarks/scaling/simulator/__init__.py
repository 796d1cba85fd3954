"""A discrete-event simulator of a queue, its tasks and whatever runs them.

Owns time, queue, pods, the workloads and the three policies. Every replay follows from a seed, so its results are the
same on every machine. Tables, pictures and the real cluster belong to `benchmarks.scaling`.
"""

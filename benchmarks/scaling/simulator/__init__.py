"""A discrete-event simulator of a queue, its tasks and the workers that run them.

Owns time, queue, pods, the workloads and the three policies. Every replay follows from a seed, so its results are the
same on every machine. Tables, pictures and the real cluster belong to `benchmarks.scaling`.
"""

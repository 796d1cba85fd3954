"""What the benchmarks share: servers, processes, queues, identities and tables."""

"""What several benchmarks share: processes, queue servers, loads, rounds and figures."""

"""Compares the operator's scaling with KEDA's and Lambda's: in a simulator (`python -m benchmarks.scaling`), and as one
burst on a real cluster (`python -m benchmarks.scaling.cluster`). Draws the pictures of docs/explanation/scaling.md."""

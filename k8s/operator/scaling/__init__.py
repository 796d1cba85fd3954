"""How many processors a stage needs: observed at the edges, decided by a pure function."""

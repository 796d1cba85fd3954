"""Decides and does everything that happens to one message between its receipt and its outcome.

Owns the steps of a delivery (parse, look up, lock, run, conclude), the retry policy, the notes of earlier attempts, the
task lock and the isolation of possible poison pills. Does not delete or requeue messages: `receiver` carries out the
outcome.
"""

"""Decides and does everything that happens to one message between its receipt and its outcome.

Owns the walk of a delivery (parse, look up, lock, run, conclude), the retry policy, what is known of earlier attempts,
the lock of a task and the isolation of possible poison pills. Calls nothing on the task queue: the acknowledger carries
the outcome out.
"""

"""The ingest service: accepts tasks and sends them to the queue.

It owns the validation of the request, the limit of tasks per user, Idempotency-Keys, and the retries of sending. What a
task does is not known here.
"""

"""Wire formats: the task on the queue, the notification on a topic, and JSON that keeps its numbers exact.

Only encoding and parsing belong here; sending belongs to `aws` and `momento`.
"""

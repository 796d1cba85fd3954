"""Answers what the status and the result of a task are, and records cancel requests.

It owns the routes of one task and the view of the outstanding cancel requests. The processor decides whether a task is
cancelled.
"""

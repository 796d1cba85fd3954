"""Momento: topics, disposable tokens and the cache, with rotation of the API key, and the notification history.

The gateway adds what the SDK lacks: deadlines, retries, checked results and translated errors. What is published, and
when, belongs to the services.
"""

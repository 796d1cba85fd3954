"""`make demo`: a new user who signs up, submits tasks of several types, cancels one and reports the notifications.

The client itself is `notification_api.client`. This package owns what only a local stack has (a sign-up whose mailed
code can be read) and the report.
"""

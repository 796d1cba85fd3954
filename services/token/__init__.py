"""The token service: disposable Momento tokens, the notification history, and the status of tasks of the caller.

It owns the vending quota of the account (`vending_queue`), the tokens that replicas share, the limits for reading, and
read markers. It records cancel requests; the processor decides. It does not write the history.
"""

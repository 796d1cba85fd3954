"""The token service: disposable Momento tokens and the notification history of the caller.

It owns the vending quota of the account (`vending_queue`), the tokens that replicas share, and the limits for reading
histories. It does not publish and does not write the history.
"""

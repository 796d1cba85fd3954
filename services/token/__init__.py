"""The token service: disposable Momento tokens, the notification history, and the status of tasks of the caller.

It owns the application, its settings and metrics, and the budget of cache operations that `tasks` and `history` share.
The work is in `vending`, `history` and `tasks`. It does not write the history.
"""

"""Delivers notifications: stores them in the notification history and publishes them.

Owns the notifier, the notifications that are not delivered yet, the history as the processor uses it, and the circuit
breaker that pauses receiving while notifications cannot be delivered. Does not decide what a notification says.
"""

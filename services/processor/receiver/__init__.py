"""Receives messages from the task queue and returns them to it.

Owns the polls, the fair division of slots among users, the leases of received messages, and their acknowledgement or
requeue. Does not read a message's body and does not decide its outcome: `delivery` does.
"""

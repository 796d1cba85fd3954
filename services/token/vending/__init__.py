"""Vends disposable tokens.

It owns the vending quota of the account (`vending_queue`) and the tokens that replicas share. The route is in `app`.
"""

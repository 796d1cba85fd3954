"""Loads and runs the adopter's handler.

Owns the search for the handler, threads for plain functions, the time limit, what happens when a handler does not stop
or blocks the event loop, and the object that a handler gets. Does not decide what follows from an error: that is
`delivery`.
"""

"""Reads the notification history, and moves read markers.

It owns the limits for reading. The routes are in `app` and `read_marker_route`.
"""

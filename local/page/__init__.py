"""The application's server: the browser application, `/config.json` for clients, and `/mail` with the mailed codes.

The browser application itself is built in `frontend`; without that build a start page is served. In production any web
server serves these files.
"""

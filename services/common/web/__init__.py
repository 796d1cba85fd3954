"""HTTP for every service: the application with its middleware, problem+json, CORS, and the operations port.

It also owns the limits that aiohttp lacks: of connections, header bytes, memory, and the time of slow clients.
The routes belong to the services, authentication to `services.common.auth`.
"""

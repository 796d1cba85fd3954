"""Which web pages may use the local stack: the rules, their use in aiohttp servers, and the allowed origins.

Its servers use it: application, emulated AWS and Momento emulator. The services have their own CORS.
"""

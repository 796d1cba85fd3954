"""The subscription to the user's topic: a gRPC stream to Momento, and what keeps it whole.

It opens the stream, replaces it before its token expires, notices when it is dead, opens another one with backoff, and
reads from the notification history what was missed. It does not use the Momento SDK, whose subscription has the time
limit of a single call and then blocks the event loop. It imports `routes` for the calls to the services.
"""

"""Plain implementations of the same tasks, on the same SDK and event loop, with which the services are compared."""

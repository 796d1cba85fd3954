"""Speed and cost of the services beside plain implementations, of the embedded stack, the application and scaling."""

"""Speed and cost of the services beside plain implementations, of the local stack, the application and scaling."""

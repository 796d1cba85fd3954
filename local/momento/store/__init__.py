"""The state: caches with their items, topics with their subscriptions. Calls and their quotas belong to `calls`."""

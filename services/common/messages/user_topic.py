"""The topic of a user: where the processor publishes and what the user's disposable token opens."""


def user_topic(user_id: str) -> str:
    """Return the topic's name. It is the verified `sub`, so nobody can name another's."""
    return user_id

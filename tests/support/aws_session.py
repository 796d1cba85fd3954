"""The one AWS SDK session of the test process: a client of a new session costs 60 ms of CPU time, of this one 9 ms."""

from aiobotocore.session import get_session

SESSION = get_session()

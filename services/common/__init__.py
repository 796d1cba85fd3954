"""What the services, the operator and the local stack share.

This package owns settings, retries and batches, memory budgets, and the start and stop of a process (`run`,
`lifecycle`, `background`). Its sub-packages own HTTP (`web`), authentication (`auth`), AWS clients (`aws`), Momento
(`momento`), logs, metrics and traces (`telemetry`), and wire formats (`messages`). The routes and rules of a single
service do not belong here.
"""

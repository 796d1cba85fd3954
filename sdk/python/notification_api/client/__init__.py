"""A client of a running stage: sign in, submit tasks, receive notifications. It needs `aiohttp` and `momento`.

It does what the browser application does, over the same protocols. Reading mailed codes, which only the local stack
permits, belongs to `local.demo`. Callers import its modules `config`, `sign_in`, `http`, `subscription` and `errors`.
"""

"""The dead-letter queue: how a message is sent there, and the command that lists, shows, redrives and purges.

`message` is what the processor uses; the other modules are the command (``python -m services.processor.dead_letters``).
When a task is dead-lettered is decided in `services.processor.delivery`.
"""

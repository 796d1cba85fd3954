"""The command that lists, shows, redrives and purges dead letters: ``python -m services.processor.dead_letters``.

The processor does not use it. When a task is dead-lettered is decided in `services.processor.delivery`, and how in
`services.processor.dead_letter_message`.
"""

"""The processor service: receives tasks from the queue, runs the adopter's handler and notifies users.

One message passes `receiver` (receive, lease), `pool` (admit), `delivery` (parse, look up, lock, run, conclude),
`handlers` (run) and `notify` (store, publish), and ends in `receiver` again (acknowledge). `dead_letter_message` is how
a task that failed for good is sent to the dead-letter queue. `dead_letters` is a command for operators, not a part of
the service. Services share code through `services.common` only.
"""

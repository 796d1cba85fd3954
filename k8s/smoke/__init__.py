"""`helm test` of a stage: a client that does what a user does, or at least checks that the services answer.

It is part of the image, but not of `services`, since it is a client of all services and imports none of them but their
common settings. The client itself is `notification_api.client`.
"""

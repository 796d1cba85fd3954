"""What `helm test` runs in a stage: a client that does what a user's browser does, or at least knocks at the doors.

It is here and in the image, but not in `services`, since it is a client of all three and may import none of them.
"""

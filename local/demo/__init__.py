"""A client of the running stack that does what a user's browser does, over the same protocols."""

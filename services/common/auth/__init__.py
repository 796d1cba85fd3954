"""Authentication of users: the bearer token, its verification, and the signing keys of the user pool.

The middleware refuses requests without a valid id token with 401. What a user may do is decided by the routes.
"""

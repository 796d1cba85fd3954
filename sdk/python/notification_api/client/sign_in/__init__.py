"""Sign up, confirm and sign in with Cognito without an AWS SDK.

It owns the calls to Cognito and SRP. A backend that has users' id tokens from elsewhere does not need it.
"""

from notification_api.client.sign_in.cognito import (
    Credentials,
    UserTokens,
    confirm_sign_up,
    resend_confirmation_code,
    sign_in,
    sign_up,
)

__all__ = ["Credentials", "UserTokens", "confirm_sign_up", "resend_confirmation_code", "sign_in", "sign_up"]

"""What all tests share."""

from hypothesis import HealthCheck, settings

# A busy machine makes no property false: how long an example took is not what these tests are about.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

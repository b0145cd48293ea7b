from hypothesis import HealthCheck, settings

# Derandomised: the same examples on every machine, so that a red test is red for everybody.
settings.register_profile(
    "stratus", derandomize=True, deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("stratus")

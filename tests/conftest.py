"""What every test may use."""

import os

from hypothesis import settings

# The same examples every time: what is found by chance is found by `make fuzz`.
settings.register_profile("default", max_examples=60, deadline=None, derandomize=True)
settings.register_profile("fuzz", max_examples=3000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

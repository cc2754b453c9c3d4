"Random cases are the same in every run, so that a failure is never a flake; HYPOTHESIS_PROFILE=explore draws new ones."
import os

from hypothesis import settings

settings.register_profile("course", derandomize=True, deadline=None, database=None)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "course"))


def pytest_configure(config):
    config.addinivalue_line("markers", "browser: needs chromium")

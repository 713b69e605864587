"""For every test."""

from __future__ import annotations

from hypothesis import settings

# A slow machine is no failed promise.
settings.register_profile("leanvibe", deadline=None)
settings.load_profile("leanvibe")

"""A server process whose services make every change at once: `python -m tests.support.writing_server`."""

from __future__ import annotations

import sys

from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.lsp.pipes import take_standard_streams
from leanvibe_lsp.lsp.run import run_stdio
from tests.support.fake_services import FakeServices

if __name__ == "__main__":
    sys.exit(run_stdio(take_standard_streams(), Settings(), lambda settings: FakeServices()))

from __future__ import annotations

from pathlib import Path
from typing import Any

CODE = "def f(a):\n    return a\n"
TESTS = "from a import f\n\n# not saved\n"


async def test_a_change_knows_what_the_editor_shows(session: Any, tmp_path: Path) -> None:
    """All open documents go with it, as they are there and not as they are on the disk."""
    (tmp_path / "test_a.py").write_text("")
    uri, other = ((tmp_path / name).as_uri() for name in ("a.py", "test_a.py"))
    session.open(CODE, uri)
    session.open(TESTS, other)
    at = {"line": 0, "character": 4}
    argument = {"kind": "tests", "uri": uri, "range": {"start": at, "end": at}}
    await session.call("workspace/executeCommand", {"command": "leanvibe.change", "arguments": [argument]})
    (request,) = session.services.changes
    assert {one.uri: one.text for one in request.open_documents} == {uri: CODE, other: TESTS}

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from lsprotocol import types

from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.lsp.assembly import make_server
from leanvibe_lsp.lsp.sharing import SharedServices
from tests.support.fake_services import FakeServices
from tests.support.rpc import ServerProcess

LIFECYCLE = {types.INITIALIZE, types.SHUTDOWN}
REQUESTS = sorted(method for method, (_, response, *_) in types.METHOD_TO_TYPES.items() if response is not None)
NOTIFICATIONS = sorted(method for method, (_, response, *_) in types.METHOD_TO_TYPES.items() if response is None)


@pytest.fixture(scope="module")
def served() -> Iterator[frozenset[str]]:
    """The methods this server says that it serves."""
    with ThreadPoolExecutor(1) as workers:
        shared = SharedServices(lambda settings: FakeServices())
        server = make_server(shared, settings=Settings(), workers=workers, reads_files=False)
        yield frozenset(server.protocol.fm.features)


def test_the_lists_are_whole() -> None:
    """What lsprotocol knows of LSP 3.18: 69 requests, 26 notifications."""
    assert (len(REQUESTS), len(NOTIFICATIONS)) == (69, 26)


def test_every_request_of_lsp_is_served_or_not_found(mock_server: ServerProcess, served: frozenset[str]) -> None:
    """All requests of LSP 3.17 and 3.18, both directions: MethodNotFound exactly for those that are not served."""
    ids = {method: mock_server.request(method, {}) for method in REQUESTS if method not in LIFECYCLE}
    codes = {method: mock_server.reply(given).get("error", {}).get("code") for method, given in ids.items()}
    assert {method for method, code in codes.items() if code == -32601} == ids.keys() - served
    assert len(mock_server.replies()) == len(ids) + 1  # initialize


@pytest.mark.parametrize("params", [{}, None, [], 5, {"textDocument": 1, "token": {}, "id": []}])
def test_every_notification_of_lsp_is_tolerated(mock_server: ServerProcess, params: object) -> None:
    """Known and unknown ones, whatever is in them: no reply, no end, nothing on stdout that is not protocol."""
    for method in (*NOTIFICATIONS, "$/unheard-of", "unheard/of"):
        if method != types.EXIT:
            mock_server.notify(method, params)
    assert "result" in mock_server.call("leanvibe/health")
    assert len(mock_server.replies()) == 2
    assert mock_server.stray == b""


@pytest.mark.parametrize(
    "params", [None, [], 5, "x", {}, {"textDocument": 5}, {"textDocument": {"uri": "x"}, "range": 1}]
)
def test_params_that_do_not_fit_are_an_error_with_a_name(
    mock_server: ServerProcess, served: frozenset[str], params: object
) -> None:
    """Every request that is served answers, and refuses what it cannot read as InvalidParams with a sentence."""
    for method in sorted(served & set(REQUESTS)):
        reply = mock_server.call(method, params)
        if "error" in reply:
            assert reply["error"]["code"] == -32602, reply
            assert reply["error"]["message"]
        else:
            assert reply["result"] is None or isinstance(reply["result"], list | dict)

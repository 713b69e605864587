"""Scaffolding only."""

import json, sys, threading, time

out = sys.stdout.buffer
lock = threading.Lock()
cancelled = set()


def send(m):
    b = json.dumps({"jsonrpc": "2.0", **m}).encode()
    with lock:
        out.write(b"Content-Length: %d\r\n\r\n" % len(b) + b)
        out.flush()


def ask(i, p):
    words = ["Wörd%d 😀\n" % k if k % 7 == 0 else "word%d " % k for k in range(100)]
    w, t = p.get("workDoneToken"), p.get("partialResultToken")
    send(
        {
            "method": "$/progress",
            "params": {
                "token": w,
                "value": {"kind": "begin", "title": "LeanVibe", "message": "thinking", "cancellable": True},
            },
        }
    )
    for k, x in enumerate(words):
        if i in cancelled:
            send({"id": i, "error": {"code": -32800, "message": "cancelled"}})
            return
        if t:
            send({"method": "$/progress", "params": {"token": t, "value": {"text": x}}})
        time.sleep(0.03)
    send({"method": "$/progress", "params": {"token": w, "value": {"kind": "end"}}})
    send(
        {
            "id": i,
            "result": {
                "answer": "".join(words),
                "tier": "local",
                "model": "fake",
                "backend": "fake",
                "confidence": {"value": 0.5, "method": "x", "calibrated": False},
                "citations": [],
                "omitted": [],
                "usage": {"promptTokens": 1, "cachedTokens": 0, "completionTokens": 100},
                "timing": {"queuedSeconds": 0, "firstTokenSeconds": 0, "totalSeconds": 1, "tokensPerSecond": 30.0},
                "finishReason": "stop",
            },
        }
    )


inp = sys.stdin.buffer
while True:
    n = 0
    while (line := inp.readline()).strip():
        if line.lower().startswith(b"content-length"):
            n = int(line.split(b":")[1])
    if not line:
        break
    m = json.loads(inp.read(n))
    meth = m.get("method")
    i = m.get("id")
    p = m.get("params") or {}
    if meth == "initialize":
        enc = p["capabilities"]["general"]["positionEncodings"][0]
        send(
            {
                "id": i,
                "result": {
                    "capabilities": {
                        "positionEncoding": enc,
                        "hoverProvider": True,
                        "codeActionProvider": True,
                        "executeCommandProvider": {"commands": ["leanvibe.explain"]},
                        "textDocumentSync": 1,
                    },
                    "serverInfo": {"name": "leanvibe", "version": "0"},
                },
            }
        )
    elif meth == "textDocument/hover":
        send({"id": i, "result": {"contents": {"kind": "markdown", "value": "def add"}}})
    elif meth == "textDocument/codeAction":
        send(
            {
                "id": i,
                "result": [
                    {
                        "title": "Explain with LeanVibe",
                        "command": {
                            "title": "Explain with LeanVibe",
                            "command": "leanvibe.explain",
                            "arguments": [{"uri": p["textDocument"]["uri"], "range": p["range"]}],
                        },
                    }
                ],
            }
        )
    elif meth in ("leanvibe/ask", "workspace/executeCommand"):
        threading.Thread(target=ask, args=(i, p), daemon=True).start()
    elif meth == "leanvibe/health":
        send({"id": i, "result": {"status": "healthy", "model": "fake", "backend": "fake", "nextSteps": []}})
    elif meth == "$/cancelRequest":
        cancelled.add(p["id"])
    elif meth == "exit":
        break
    elif i is not None:
        send({"id": i, "result": None})

"""`python -m leanvibe_lsp` is the `leanvibe` command."""

from __future__ import annotations

from leanvibe_lsp.cli.app import main

if __name__ == "__main__":
    main()

"""What came of single files put together in a stable order. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from leanvibe_lsp.review.values import FileReport, Report, Trouble


def gather(
    reports: Sequence[FileReport],
    *,
    failed: Sequence[Trouble] = (),
    left_out: Sequence[Trouble] = (),
    unfinished: int = 0,
    seconds: float = 0.0,
) -> Report:
    """The result, by path and then in the order of the text, however the files came in.

    `failed` and `left_out` are what was known before any file was looked at.
    """
    ordered = sorted(reports, key=lambda one: one.target.within)
    return Report(
        found=tuple(found for one in ordered for found in one.found),
        files=sum(not one.left_out and not one.failed for one in ordered),
        lines=sum(one.lines for one in ordered if not one.left_out),
        left_out=(*left_out, *(Trouble(one.target.shown, one.left_out) for one in ordered if one.left_out)),
        failed=(*failed, *(Trouble(one.target.shown, one.failed) for one in ordered if one.failed)),
        mended=tuple(one for one in ordered if one.mended is not None),
        unfinished=unfinished,
        seconds=seconds,
    )

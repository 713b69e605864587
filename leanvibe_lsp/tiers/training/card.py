"""What a trained file says of itself: when and from what it was made, how good it was, and a digest over all of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from leanvibe_lsp.errors import ModelDamaged, UsageError
from leanvibe_lsp.tiers.calibration import Bin

_AGAIN = "Train it again: `leanvibe train`, or reinstall leanvibe-lsp."


@dataclass(frozen=True, slots=True)
class Source:
    """Where rows come from, under which licence, and how many were used."""

    name: str
    licence: str
    rows: int


@dataclass(frozen=True, slots=True)
class Card:
    """The part of a trained file that is for people.

    `data` is the SHA-256 of the rows in their order; `metrics` are named numbers, each measured on rows that were not
    fitted; `reliability` is the calibration on such rows. `date` (ISO) is the one field that the digest leaves out.
    """

    kind: str
    format: int
    date: str
    seed: int
    data: str
    sources: tuple[Source, ...]
    metrics: Mapping[str, float]
    reliability: tuple[Bin, ...]

    def to_json(self) -> dict[str, Any]:
        """As it stands in a file."""
        return asdict(self) | {
            "metrics": dict(self.metrics),
            "sources": [asdict(one) for one in self.sources],
            "reliability": [asdict(one) for one in self.reliability],
        }

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Card:
        """Back from a file. Raises UsageError for what is no card."""
        try:
            return cls(
                kind=given["kind"],
                format=given["format"],
                date=given["date"],
                seed=given["seed"],
                data=given["data"],
                sources=tuple(Source(**one) for one in given["sources"]),
                metrics=dict(given["metrics"]),
                reliability=tuple(Bin(**one) for one in given["reliability"]),
            )
        except (KeyError, TypeError) as error:
            raise UsageError(f"A trained file has no whole card: {error}.", next_step=_AGAIN) from error


def data_digest(rows: Iterable[object]) -> str:
    """SHA-256 over rows that JSON can carry, in their order."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(_canonical(row) + b"\n")
    return digest.hexdigest()


def digest_of(content: Mapping[str, Any]) -> str:
    """SHA-256 over a trained file but its digest and its date."""
    card = {name: value for name, value in content["card"].items() if name != "date"}
    return hashlib.sha256(_canonical({**content, "card": card, "digest": ""})).hexdigest()


def seal(content: Mapping[str, Any]) -> str:
    """The text of a trained file: `content` (which has a `card`) and its digest."""
    return json.dumps({**content, "digest": digest_of(content)}, ensure_ascii=False, separators=(",", ":")) + "\n"


def unseal(text: str, *, kind: str, form: int, name: str) -> dict[str, Any]:
    """The content of a trained file. Raises UsageError for another kind or format, ModelDamaged for another digest."""
    try:
        content = json.loads(text)
        card = content["card"]
        found = (card["kind"], card["format"])
        intact = content["digest"] == digest_of(content)
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{name} is no trained file: {error}.", next_step=_AGAIN) from error
    if found != (kind, form):
        raise UsageError(f"{name} is {found[0]} {found[1]}; {kind} {form} is wanted.", next_step=_AGAIN)
    if not intact:
        raise ModelDamaged(f"{name} was changed after it was made: its digest does not fit.", next_step=_AGAIN)
    return dict(content)


def _canonical(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()

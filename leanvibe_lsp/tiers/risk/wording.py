"""Features in plain words, as reasons. Several may say the same; what says nothing to a reader has no words."""

from __future__ import annotations

from functools import cache

from leanvibe_lsp.tiers.risk.families import FAMILIES

_PRESENT = {
    "rule": "a security rule points at it",
    "rules": "a security rule points at it",
    "rule of quality": "a rule about bugs or clarity points at it",
    "stranger": "it reads what strangers write",
    "checks": "it checks what it is given",
    "raise": "it checks what it is given",
    "secret in code": "a secret seems to stand in the code",
    "mutable default": "a default value is shared between calls",
    "left open": "a file is opened without `with`",
    "swallowed error": "an error is swallowed",
    "endless loop": "a loop has no end of its own",
    "while": "a loop has no end of its own",
    "assert": "it relies on assert",
    "endpoint": "it answers requests",
    "endpoint open": "it answers requests of anybody",
    "endpoint open writes": "anybody may change something",
    "endpoint unchecked": "it answers requests without checking them",
    "endpoint bare": "it answers requests without checking them",
    "endpoint known user": "it asks who the user is",
    "csrf off": "protection against forged requests is off",
    "http address": "an address is not encrypted",
    "with": "it closes what it opens",
    "try": "it handles errors",
    "if": "it decides between cases",
}
ABSENT = {
    "rule": "no security rule points at it",
    "checks": "nothing is checked",
    "raise": "nothing is checked",
    "stranger": "it reads nothing that strangers write",
}
_THINGS = {"SQL": "SQL", "HTML": "HTML", "path": "a path", "filter": "a filter", "address": "an address"}
_TEXTS = {
    "spliced": "{} is put together from pieces",
    "plain": "there is {} in it",
}


@cache
def words_for(name: str, present: bool) -> str:
    """The words for a feature that is there, or is missing; "" where there are none."""
    if not present:
        return ABSENT.get(name, "")
    if name in _PRESENT:
        return _PRESENT[name]
    kind, _, rest = name.partition(" ")
    text = rest.removeprefix("text ")
    if rest.startswith("text "):
        return _TEXTS[kind].format(_THINGS[text])
    if kind == "word":
        return f"the word `{rest}`"
    if kind == "rule":
        return _PRESENT["rule"]
    family = next((one for one in FAMILIES if one.name == rest), None)
    if family is None:
        return ""
    return {
        "call": f"it {family.words}",
        "bare": f"it {family.words}, with nothing that makes that safe beside it",
        "guarded": f"it {family.words}, with a known safeguard beside it",
        "fixed": f"it {family.words}, with fixed values",
        "spliced": f"it {family.words}, with text put together from pieces",
        "stranger": f"it {family.words}, with what a stranger wrote",
        "given": f"it {family.words}, with what a caller gave",
        "open": f"it {family.words}, with what was given and nothing that makes that safe",
    }.get(kind, "")

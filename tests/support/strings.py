"""Texts that are hard for tokenizers, made from a seed: the same ones everywhere, so that they need not be stored."""

from __future__ import annotations

import random

_NAMES = ("add", "count", "value", "parse", "token", "items", "path", "user_name", "readFile", "Point", "__init__", "i")
_WORDS = (
    "the",
    "model",
    "reads",
    "a",
    "line",
    "of",
    "code",
    "and",
    "then",
    "says",
    "what",
    "it",
    "does",
    "don't",
    "I'll",
)
_CODE = (
    "def {a}({b}, {c}=0):\n    return {b} + {c}\n",
    'class {a}:\n    {b}: int = {n}\n\n    def {c}(self):\n        raise ValueError(f"{{self.{b}!r}}")\n',
    "for (int {b} = 0; {b} < {n}; ++{b}) {{\n\t{a}->{c}[{b}] ^= 0x{n:X};\n}}\n",
    "const {a} = async ({b}) => {{ await {c}({b} ?? {n}); }};\r\n",
    "fn {a}<'a>({b}: &'a str) -> Option<u{n}> {{ {b}.{c}()? }}\n",
    "SELECT {a}, COUNT(*) FROM {b} WHERE {c} >= {n} AND {a} <> 'it''s';\n",
    "<div class=\"{a}\" id='{b}'>&amp; {c} &lt; {n}</div>",
    'if [[ -n "${a}" && {n} -gt 3 ]]; then echo "{b}\\t{c}"; fi\n',
    '{{"{a}": [{n}, -{n}.5e-7, null, true], "{b}": "\\u00e9 {c}"}}',
    "# {a} {b}\n\n* **{c}** `{n}`\n\n```py\nx = {n}\n```\n",
    "func ({a} *{b}) {c}() (int, error) {{\n\treturn {n}, nil // TODO\n}}\n",
)
_PIECES = (
    "👨‍👩‍👧‍👦", "👍🏽", "🇩🇪🇯🇵", "❤️", "🏳️‍🌈", "😀😀😀", "🧑🏿‍💻",
    "你好，世界。", "こんにちは", "カタカナ", "안녕하세요", "漢字かな交じり文", "ｆｕｌｌ　ｗｉｄｔｈ",
    "שלום עולם", "مرحبا بالعالم", "\u202eright to left\u202c", "हिन्दी में", "ภาษาไทย", "Ελληνικά", "Русский текст",
    "e\u0301e\u0301", "é", "ñ n\u0303", "a\u0300\u0316\u0301\u0489", "Z\u0351\u036b",
    "Z\u0343", "ﬁ ﬂ Å Å ½ ² Ⅷ", "İıſßẞ",
    "\x00", "\x01\x02\x1b[0m", "\x7f\x80\x9f", "\x1c\x1d\x1e\x1f", "\u200b\u200c\u200d\u2060\ufeff", "\u2028\u2029\x85",
    " ", "  ", "\t", "\n", "\r\n", "\n\n\n", " \n \n", "\u00a0", "\u3000", "\u2003", "\u2581",
    "\u2581\u2581x", "Ġ", "Ċ",
    "\ue000", "\ue0000\ue001", "\uf8ff", "\U000f0000", "\U0010fffd", "\ufffd", "\ufffe", "<0x0A>", "<0xE4>", "Ã©",
    "0", "12", "123", "1234567890", "3.14159", "1,000,000", "٣٤", "१२", "ⅻ", "1e-9", "0b1010",
    "'s 'T 'Re 'VE 'm 'LL 'd ’s", "DON'T", "!!!", "...", "--->", "$$", "((()))", "?!?", "«»",
    "_", "__", "a_b", "\\", "/*",
    "https://example.org/a?b=1&c=%20#d", "user@host.example", "C:\\dir\\file.txt", "/usr/bin/env", "x" * 70, "=" * 90,
)  # fmt: skip


def varied(seed: int, count: int, specials: tuple[str, ...] = ()) -> list[str]:
    """`count` texts: code, prose, scripts, emoji, control characters, white space, and `specials` written as text.

    Each special is there alone, in the middle of words, doubled, and cut short; the rest is mixed by `seed`.
    """
    given = [shape.format(s) for s in specials for shape in ("{0}", "a{0}b", " {0} ", "{0}{0}", "\n{0}\n", "x {0}")]
    given += [text[:cut] for text in specials for cut in (1, len(text) - 1)]
    choose = random.Random(seed)
    fixed = [*_PIECES, " " * 300, "\n" * 200, "ab" * 500, "\t\t    \t", "你" * 200, "🙂" * 100, ""]
    mixed = (_mixed(choose, specials) for _ in range(count))
    return [*given, *fixed, *mixed][:count]


def prose(seed: int, count: int) -> list[str]:
    """`count` texts without anything special in them, as people write: code and prose, with a sprinkle of scripts."""
    choose = random.Random(seed)
    return ["".join(_part(choose) for _ in range(choose.randrange(1, 6))) for _ in range(count)]


def _mixed(choose: random.Random, specials: tuple[str, ...]) -> str:
    parts = []
    for _ in range(choose.randrange(1, 5)):
        kind = choose.randrange(10)
        if kind < 5:
            parts.append(_part(choose))
        elif kind < 8 or not specials:
            parts.append(choose.choice(_PIECES))
        elif kind == 8:
            parts.append(choose.choice(specials))
        else:
            parts.append(_characters(choose))
        parts.append(choose.choice(("", "", " ", "\n", "  ")))
    return "".join(parts)


def _part(choose: random.Random) -> str:
    kind = choose.randrange(8)
    if kind < 3:
        a, b, c = (choose.choice(_NAMES) for _ in range(3))
        return choose.choice(_CODE).format(a=a, b=b, c=c, n=choose.randrange(4_096))
    if kind < 7:
        words = " ".join(choose.choice(_WORDS) for _ in range(choose.randrange(1, 9)))
        return choose.choice(("", " ")) + words + choose.choice((".", ",", "?", " ", "\n", ""))
    return choose.choice(_PIECES[7:26])


def _characters(choose: random.Random) -> str:
    low, high = choose.choice(((0, 0x80), (0x80, 0x250), (0x250, 0xD800), (0xE000, 0x10000), (0x1F300, 0x1FAFF)))
    return "".join(chr(choose.randrange(low, high)) for _ in range(choose.randrange(1, 8)))

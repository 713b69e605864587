"""Which language a document is in, and its tree-sitter grammar, loaded on first use.

Maintained single wheels come first. `tree-sitter-languages`, when it is installed, is the long tail: its own API does
not work with today's tree-sitter, its bundled library does, so that is opened and the package itself is never imported.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tree_sitter import Language, Tree

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.documents import uris
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.documents.syntax import Syntax, known_syntax, syntax_of
from leanvibe_lsp.documents.syntax import encoded as encoded  # what a tree's byte offsets are of


@dataclass(frozen=True, slots=True)
class _Wheel:
    """A maintained grammar: `function` of `module` gives the pointer."""

    module: str
    function: str = "language"


_WHEELS = {
    "python": _Wheel("tree_sitter_python"),
    "javascript": _Wheel("tree_sitter_javascript"),
    "typescript": _Wheel("tree_sitter_typescript", "language_typescript"),
    "tsx": _Wheel("tree_sitter_typescript", "language_tsx"),
    "go": _Wheel("tree_sitter_go"),
    "rust": _Wheel("tree_sitter_rust"),
    "java": _Wheel("tree_sitter_java"),
    "c": _Wheel("tree_sitter_c"),
    "cpp": _Wheel("tree_sitter_cpp"),
    "csharp": _Wheel("tree_sitter_c_sharp"),
    "ruby": _Wheel("tree_sitter_ruby"),
    "php": _Wheel("tree_sitter_php", "language_php"),
    "bash": _Wheel("tree_sitter_bash"),
    "json": _Wheel("tree_sitter_json"),
    "html": _Wheel("tree_sitter_html"),
    "css": _Wheel("tree_sitter_css"),
}

# Language -> the ids that clients send for it and the file name endings, separated by spaces.
_NAMES = {
    "python": ("python python3", ".py .pyi .pyw"),
    "javascript": ("javascript javascriptreact jsx", ".js .jsx .mjs .cjs"),
    "typescript": ("typescript", ".ts .mts .cts"),
    "tsx": ("typescriptreact tsx typescript.tsx", ".tsx"),
    "go": ("go golang", ".go"),
    "rust": ("rust", ".rs"),
    "java": ("java", ".java"),
    "c": ("c", ".c .h"),
    "cpp": ("cpp c++ cuda-cpp cuda arduino", ".cpp .cc .cxx .c++ .hpp .hh .hxx .h++ .ipp .inl .cu .cuh .ino"),
    "csharp": ("csharp cs c-sharp c_sharp", ".cs .csx"),
    "ruby": ("ruby", ".rb .rake .gemspec .ru"),
    "php": ("php", ".php .phtml"),
    "bash": ("bash shellscript sh shell zsh", ".sh .bash .zsh .bashrc .zshrc .profile"),
    "json": ("json jsonc json5", ".json .jsonc .webmanifest"),
    "html": ("html xhtml", ".html .htm .xhtml"),
    "css": ("css", ".css"),
    "commonlisp": ("commonlisp lisp", ".lisp .lsp .cl"),
    "dockerfile": ("dockerfile", ".dockerfile"),
    "dot": ("dot graphviz", ".dot .gv"),
    "elisp": ("elisp emacs-lisp", ".el"),
    "elixir": ("elixir", ".ex .exs"),
    "elm": ("elm", ".elm"),
    "embedded_template": ("erb eruby ejs", ".erb .ejs"),
    "erlang": ("erlang", ".erl .hrl"),
    "fortran": ("fortran fortran-modern", ".f90 .f95 .f03 .f08"),
    "fixed_form_fortran": ("fortran77 fortran_fixed-form", ".f .for .f77"),
    "gomod": ("gomod go.mod", ".mod"),
    "hack": ("hack", ".hack"),
    "haskell": ("haskell", ".hs"),
    "hcl": ("hcl terraform", ".hcl .tf .tfvars"),
    "julia": ("julia", ".jl"),
    "kotlin": ("kotlin", ".kt .kts"),
    "lua": ("lua", ".lua"),
    "make": ("makefile make", ".mk .mak"),
    "markdown": ("markdown", ".md .markdown"),
    "objc": ("objective-c objc objectivec", ".m"),
    "ocaml": ("ocaml", ".ml"),
    "perl": ("perl", ".pl .pm"),
    "ql": ("ql", ".ql .qll"),
    "r": ("r", ".r"),
    "regex": ("regex", ""),
    "rst": ("rst restructuredtext", ".rst"),
    "scala": ("scala", ".scala .sc .sbt"),
    "sql": ("sql", ".sql"),
    "sqlite": ("sqlite", ""),
    "toml": ("toml", ".toml"),
    "tsq": ("query tsq", ".scm"),
    "yaml": ("yaml dockercompose", ".yaml .yml"),
}

_FILE_NAMES = {
    "dockerfile": "dockerfile",
    "containerfile": "dockerfile",
    "makefile": "make",
    "gnumakefile": "make",
    "gemfile": "ruby",
    "rakefile": "ruby",
    "vagrantfile": "ruby",
    "go.mod": "gomod",
    "pkgbuild": "bash",
    ".bashrc": "bash",
    ".zshrc": "bash",
    ".profile": "bash",
    ".bash_profile": "bash",
}

_IDS = {id_: language for language, (ids, _) in _NAMES.items() for id_ in ids.split()}
_ENDINGS = {ending: language for language, (_, endings) in _NAMES.items() for ending in endings.split()}
_TAIL_PACKAGE = "tree_sitter_languages"


def language_of(language_id: str, path: Path | None) -> str | None:
    """Our name of the language: from the client's id when that is known, else from the file's name. None: unknown.

    Knowing a language does not mean that its grammar is installed.
    """
    known = _IDS.get(language_id.lower())
    if known is not None or path is None:
        return known
    name = path.name.lower()
    return _FILE_NAMES.get(name) or _ENDINGS.get(path.suffix.lower())


@cache
def grammar(language: str) -> Language | None:
    """The grammar of a language as `language_of` names it, or None when none is installed or none fits."""
    wheel = _WHEELS.get(language)
    if wheel is not None:
        try:
            return Language(getattr(importlib.import_module(wheel.module), wheel.function)())
        except (ImportError, AttributeError, ValueError):  # ValueError: an ABI that this tree-sitter cannot read
            pass
    return _tail_grammar(language) if language in _NAMES else None


def obstacle(snapshot: Snapshot) -> str:
    """Why nothing is known of this document's structure, as a sentence without a full stop; "" when something is."""
    reason, known = _unparsed(snapshot), known_syntax(snapshot.lines)
    if not reason and known is not None and known.tangled:
        return f"its structure takes longer than {limit('document.query_milliseconds'):,} ms to read"
    return reason


def _unparsed(snapshot: Snapshot) -> str:
    if uris.is_notebook_cell(snapshot.uri):
        return "cells of a notebook are left alone"
    language = language_of(snapshot.language_id, snapshot.path)
    if language is None:
        return "the language is not known"
    most, longest = limit("document.parse_bytes"), limit("document.line_characters")
    if _exceeds(snapshot.text, most):
        return f"the text is larger than {most:,} bytes"
    if "\0" in snapshot.text:
        return "the text is binary: it has a NUL character"
    if _has_line_over(snapshot.text, longest):
        return f"a line is longer than {longest:,} characters"
    if grammar(language) is None:
        return f"no grammar for {language} is installed"
    return ""


def syntax(snapshot: Snapshot) -> Syntax | None:
    """The tree of the text and what is remembered with it, or None; `obstacle` says why. Any thread.

    Parsing holds the interpreter's lock and cannot be stopped: ask only where something reads the tree.
    """
    language = language_of(snapshot.language_id, snapshot.path)
    found = None if language is None or _unparsed(snapshot) else grammar(language)
    return None if found is None else syntax_of(snapshot.lines, found)


def parse(snapshot: Snapshot) -> Tree | None:
    """The syntax tree of the text in UTF-8, or None; `obstacle` says why. Shared: never to be edited. Any thread."""
    found = syntax(snapshot)
    return None if found is None else found.tree


def _exceeds(text: str, most: int) -> bool:
    """True for a text of more than `most` bytes; UTF-8 takes one to four of them a character."""
    if text.isascii() or len(text) > most:
        return len(text) > most
    return 4 * len(text) > most and len(encoded(text)) > most


def _has_line_over(text: str, longest: int) -> bool:
    """Looks at one line ending in `longest` characters, not at each line."""
    at = 0
    while at + longest < len(text):
        end = at + longest + 1
        found = max(text.rfind("\n", at, end), text.rfind("\r", at, end))
        if found < 0:
            return True
        at = found + 1
    return False


@cache
def _tail_library() -> ctypes.CDLL | None:
    spec = importlib.util.find_spec(_TAIL_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        for name in ("languages.so", "languages.dll"):
            if (Path(folder) / name).is_file():
                try:
                    return ctypes.CDLL(str(Path(folder) / name))
                except OSError:  # built for another platform
                    return None
    return None


def _tail_grammar(language: str) -> Language | None:
    library = _tail_library()
    entry = getattr(library, f"tree_sitter_{'c_sharp' if language == 'csharp' else language}", None)
    if entry is None:
        return None
    entry.restype = ctypes.c_void_p
    capsule = ctypes.pythonapi.PyCapsule_New
    capsule.restype, capsule.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    try:
        return Language(capsule(entry(), b"tree_sitter.Language", None))
    except ValueError:
        return None

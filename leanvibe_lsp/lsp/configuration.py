"""The settings of one session: which layers there are, and what they come to for each root. Event-loop thread only.

Files are read on the loop, on purpose: a request that follows must not be served by looser rules than they hold. They
are few and small, and read when something changed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from leanvibe_lsp.config.layers import (
    COMMAND_LINE,
    CONFIGURATION,
    DENY,
    FILES,
    INITIALIZATION,
    USER_FILE,
    WITHHELD,
    Layer,
    settled,
    user_layer,
    without_server,
)
from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.core.globs import below

_log = logging.getLogger(__name__)


class Configuration:
    """All that was said about settings, resolved when it is first asked for and after each change.

    `settings` are what the process was started with, and `process` the layers that they came from, if they came from
    layers. `tell` is called with each complaint, once as long as it lasts; `changed` after a change of any setting.
    """

    def __init__(
        self,
        settings: Settings,
        process: Sequence[Layer],
        *,
        tell: Callable[[str], None],
        changed: Callable[[], None],
        reads_files: bool,
    ) -> None:
        self.roots: tuple[Path, ...] = ()
        self._start = Settings() if process else settings
        self._process = {layer.name: layer for layer in process}
        self._tell = tell
        self._changed = changed
        self._reads_files = reads_files
        self._options: object = None
        self._initialization = Layer(INITIALIZATION)
        self._client: dict[Path | None, Layer] = {}
        self._files: dict[Path, tuple[Layer, ...]] = {}
        self._told: set[str] = set()
        self._session: Settings | None = None
        self._by_root: dict[Path, Settings] = {}

    @property
    def settings(self) -> Settings:
        """The settings of the session: for all that lies in no root, and for the engine."""
        return self._resolved()

    def for_path(self, path: Path | None) -> Settings:
        """Those of the innermost root that holds the path."""
        session = self._resolved()
        if path is None:
            return session
        roots = [root for root in self._by_root if path.is_relative_to(root)]
        if not roots and self._by_root:
            real = _real(path)
            roots = [root for root in self._by_root if real.is_relative_to(_real(root))]
        return self._by_root[max(roots, key=lambda root: len(root.parts))] if roots else session

    def begin(self, options: object, roots: Sequence[Path]) -> None:
        """What initialize says. It is read when the first setting is asked for, so that its reply need not wait."""
        self._options, self.roots = options, tuple(roots)
        self._session = None

    def set_roots(self, roots: Sequence[Path]) -> None:
        """The folders of the workspace are others now."""
        self.roots = tuple(roots)
        self._again(read=True)

    def set_client(self, said: Mapping[Path | None, object]) -> None:
        """What the client's own configuration says, for each root and (None) for the session."""
        from leanvibe_lsp.config.options import read_options

        layers = {}
        for root, raw in said.items():
            reading = read_options(raw)
            layers[root] = Layer(CONFIGURATION, reading.values, tuple(reading.problems))
        self._client = layers
        self._again(read=False)

    def reread(self) -> None:
        """A file of settings has changed."""
        self._again(read=True)

    def is_source(self, path: Path) -> bool:
        """Whether settings are read from this file."""
        user = self._process.get(USER_FILE)
        return path.name in FILES and (path.parent in self.roots or (user is not None and path == user.file))

    @property
    def user_file(self) -> Path | None:
        """The user's own file, where this process has one to read."""
        return user.file if (user := self._process.get(USER_FILE)) is not None else None

    def layers_of(self, root: Path | None) -> tuple[Layer, ...]:
        """What counts for a root, or for the session, lowest first.

        What a root's files say about secrets of the engine's kind (globs, things not understood) counts for the
        session; a client's configuration of a root is about what its editor shows.
        """
        above = self._client.get(root) or self._client.get(None) or Layer(CONFIGURATION)
        if root is None:
            files = tuple(_of_engine(layer) for layers in self._files.values() for layer in layers)
        else:
            files = self._files.get(root, ())
        below = [layer for name, layer in self._process.items() if name != COMMAND_LINE]
        command_line = [layer for name, layer in self._process.items() if name == COMMAND_LINE]
        return (*below, *files, self._initialization, above, *command_line)

    def _again(self, *, read: bool) -> None:
        before = (self._resolved(), dict(self._by_root))
        if read:
            self._read()
        self._resolve()
        if before != (self._session, self._by_root):
            self._changed()

    def _resolved(self) -> Settings:
        if self._session is None:
            if self._options is not None:
                from leanvibe_lsp.config.options import read_options

                reading = read_options(without_null(self._options))
                self._initialization = Layer(INITIALIZATION, reading.values, tuple(reading.problems))
            self._read()
            return self._resolve()
        return self._session

    def _read(self) -> None:
        if not self._reads_files:
            return
        if USER_FILE in self._process:
            self._process[USER_FILE] = user_layer(self._process[USER_FILE])
        good = {layer.file: layer for layers in self._files.values() for layer in layers if layer.file is not None}
        self._files = {}
        for root in self.roots:
            if any((root / name).is_file() for name in FILES):
                from leanvibe_lsp.config.files import workspace_layers

                self._files[root] = workspace_layers(root, good)

    def _resolve(self) -> Settings:
        session = self._session = settled(self.layers_of(None), self._start)
        editors = {root: settled(self.layers_of(root), self._start).editor for root in self.roots}
        own = {root: _globs_of(root, editor.secrets) for root, editor in editors.items()}
        self._by_root = {
            root: replace(session, editor=replace(editor, secrets=_united(editor.secrets, own, root)))
            for root, editor in editors.items()
        }
        session = self._session = replace(
            session, editor=replace(session.editor, secrets=_united(session.editor.secrets, own, None))
        )
        self._complain()
        return session

    def _complain(self) -> None:
        every = [*self.layers_of(None), *(layer for root in self.roots for layer in self.layers_of(root))]
        complaints = dict.fromkeys(text for layer in every for text in layer.complaints())
        if without_server(self.layers_of(None)):
            complaints[WITHHELD] = None
        for text in complaints:
            if text not in self._told:
                _log.warning("%s", text)
                self._tell(text)
        self._told = set(complaints)


def _globs_of(root: Path, globs: Sequence[str]) -> tuple[str, ...]:
    """A root's globs as they are said outside of it, by its path and by where that leads."""
    folders = dict.fromkeys((root.as_posix(), _real(root).as_posix()))
    return tuple(below(folder, glob) for folder in folders for glob in globs)


def _united(globs: Sequence[str], others: Mapping[Path, tuple[str, ...]], own: Path | None) -> tuple[str, ...]:
    """With those of the other roots: a question about one root may show what lies in another."""
    elsewhere = (glob for root, said in others.items() if root != own for glob in said)
    return tuple(dict.fromkeys((*globs, *elsewhere)))


def _real(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a link that leads round and round
        return path


def without_null(raw: object) -> object:
    """Without null: an editor fills in a null for everything that its person did not set."""
    if not isinstance(raw, Mapping):
        return raw
    return {key: without_null(value) for key, value in raw.items() if value is not None}


def _of_engine(layer: Layer) -> Layer:
    values = {name: value for name, value in layer.values.items() if name == DENY}
    return replace(layer, values=values)

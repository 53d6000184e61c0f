"""On which line of a TOML file each key and each element stands; `tomllib` does not tell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

Place = tuple[str | int, ...]
"""Keys and positions from the top: ``("samples", "a", "inputs", 0)``."""

_NOTHING = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BLANK = re.compile(r"[ \t]*")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|' + r"'''.*?'{3,5}|" + r'"(?:\\.|[^"\\\n])*"|' + r"'[^'\n]*'", re.DOTALL
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_PLAIN = re.compile(r"[^,\]}#\r\n]+")


def find_lines(text: str) -> dict[Place, int]:
    """Line, counted from 1, of every key, table and element of an array.

    Parameters
    ----------
    text : str
        TOML that `tomllib` reads.

    Returns
    -------
    dict
        Tables that several headers name have the line of the first.
    """
    return _Finder(text).document()


def line_of(lines: Mapping[Place, int], place: Place) -> int:
    """Line of a place, or of the nearest one around it; 1 if there is none."""
    inner = (place[:n] for n in range(len(place), 0, -1))
    return next((lines[one] for one in inner if one in lines), 1)


class _Finder:
    """Walks over a text that is known to be TOML: what cannot follow need not be thought of."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.counted = 0
        self.line = 1
        self.lines: dict[Place, int] = {}
        self.lengths: dict[Place, int] = {}

    def document(self) -> dict[Place, int]:
        table: Place = ()
        while self._skip(_NOTHING) < len(self.text):
            if self._takes("[["):
                table = self._header(array=True)
            elif self._takes("["):
                table = self._header(array=False)
            else:
                self._pair(table)
        return self.lines

    def _header(self, *, array: bool) -> Place:
        """``[a.b]`` or ``[[a.b]]``; of an array of tables, the last element is meant."""
        place: Place = ()
        keys = self._keys()
        for number, key in enumerate(keys):
            place = (*place, key)
            self._note(place)
            if array and number == len(keys) - 1:
                self.lengths[place] = self.lengths.get(place, 0) + 1
            if place in self.lengths:
                place = (*place, self.lengths[place] - 1)
                self._note(place)
        self.at += 2 if array else 1
        return place

    def _pair(self, table: Place) -> None:
        place = table
        for key in self._keys():
            place = (*place, key)
            self._note(place)
        self.at += 1  # the equals sign
        self._value(place)

    def _keys(self) -> list[str]:
        """A key, dotted or not, and the blanks around it."""
        keys = []
        while True:
            self._skip(_BLANK)
            begin = self.at
            if self._skip(_BARE_KEY) > begin:
                keys.append(self.text[begin : self.at])
            else:
                keys.append(tomllib.loads(f"key = {self._string()}")["key"])
            self._skip(_BLANK)
            if not self._takes("."):
                return keys

    def _value(self, place: Place) -> None:
        self._skip(_BLANK)
        if self._takes("["):
            number = 0
            while not self._ends("]"):
                self._note((*place, number))
                self._value((*place, number))
                number += 1
        elif self._takes("{"):
            while not self._ends("}"):
                self._pair(place)
        elif self.text[self.at] in "\"'":
            self._string()
        else:
            self._skip(_PLAIN)

    def _ends(self, bracket: str) -> bool:
        """Step to the next element, or over the bracket that ends them."""
        self._skip(_NOTHING)
        self._takes(",")
        self._skip(_NOTHING)
        return self._takes(bracket)

    def _string(self) -> str:
        """The text of a string, quotes and all."""
        begin = self.at
        return self.text[begin : self._skip(_STRING)]

    def _takes(self, text: str) -> bool:
        """Step over a text if it comes next."""
        found = self.text.startswith(text, self.at)
        self.at += len(text) * found
        return found

    def _skip(self, pattern: re.Pattern[str]) -> int:
        """Step over what fits; where that leads."""
        match = pattern.match(self.text, self.at)
        self.at = self.at if match is None else match.end()
        return self.at

    def _note(self, place: Place) -> None:
        """This is where a place is met first."""
        self.line += self.text.count("\n", self.counted, self.at)
        self.counted = self.at
        self.lines.setdefault(place, self.line)

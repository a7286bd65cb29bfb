"""Reading parameters: JSON in which no entry hides another and no number passes through a float."""

import json
import re
from typing import NoReturn, Union

DEPTH_MAX = 32
"""How deep values may nest."""


class JsonNumber:
    """A number as it was written."""

    def __init__(self, written: str) -> None:
        self.written = written


Json = Union[None, bool, str, JsonNumber, list["Json"], dict[str, "Json"]]
"""A value of parameters. Numbers are kept as they were written."""


class Unreadable(Exception):
    """The text is no JSON: what is wrong, and where."""


def parse(written: str) -> Json:
    """Reads a whole text, or raises `Unreadable`."""
    reader = _Text(written)
    value = reader.value(0)
    reader.space()
    if reader.at < len(written):
        reader.fail("expected the end")
    return value


class _Text:
    SPACE = re.compile(r"[ \t\n\r]*")
    NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
    QUOTED = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')

    def __init__(self, written: str) -> None:
        self.written = written
        self.at = 0

    def fail(self, message: str) -> NoReturn:
        found = self.written[self.at : self.at + 1]
        told = json.dumps(found, ensure_ascii=False) if found else "the end"
        self.refuse(f"{message}, found {told}")

    def refuse(self, message: str) -> NoReturn:
        read = self.written[: self.at]
        line, column = read.count("\n") + 1, self.at - read.rfind("\n")
        raise Unreadable(f"{message} (line {line}, column {column})")

    def space(self) -> None:
        found = self.SPACE.match(self.written, self.at)
        self.at = found.end() if found else self.at

    def take(self, token: str) -> bool:
        self.space()
        there = self.written.startswith(token, self.at)
        if there:
            self.at += len(token)
        return there

    def value(self, depth: int) -> Json:
        if depth > DEPTH_MAX:
            self.fail("values nest too deep")
        if self.take("null"):
            return None
        if self.take("true"):
            return True
        if self.take("false"):
            return False
        if self.take("["):
            return self.items(depth)
        if self.take("{"):
            return self.entries(depth)
        if self.written.startswith('"', self.at):
            return self.string()
        number = self.NUMBER.match(self.written, self.at)
        if number is None:
            self.fail("expected a value")
        self.at = number.end()
        return JsonNumber(number[0])

    def items(self, depth: int) -> list[Json]:
        items: list[Json] = []
        if self.take("]"):
            return items
        items.append(self.value(depth + 1))
        while self.take(","):
            items.append(self.value(depth + 1))
        if not self.take("]"):
            self.fail("expected `,` or `]`")
        return items

    def entries(self, depth: int) -> dict[str, Json]:
        entries: dict[str, Json] = {}
        if self.take("}"):
            return entries
        self.entry(entries, depth)
        while self.take(","):
            self.entry(entries, depth)
        if not self.take("}"):
            self.fail("expected `,` or `}`")
        return entries

    def entry(self, entries: dict[str, Json], depth: int) -> None:
        self.space()
        if not self.written.startswith('"', self.at):
            self.fail("expected a key in quotes")
        key = self.string()
        if key in entries:
            self.refuse(f"{json.dumps(key, ensure_ascii=False)} is there twice")
        if not self.take(":"):
            self.fail("expected `:`")
        entries[key] = self.value(depth + 1)

    def string(self) -> str:
        found = self.QUOTED.match(self.written, self.at)
        if found is None:
            self.fail("expected a text that ends")
        try:
            read: str = json.loads(found[0])
            read.encode()  # half of a surrogate pair is no text
        except ValueError:
            self.fail("expected a text without unknown escapes")
        self.at = found.end()
        return read

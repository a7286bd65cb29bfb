"""States and prepared parameters as bytes, in the form that the Rust SDK gives them (postcard 1).

Numbers are varints of 7 bits, signed ones zigzag; texts and lists have their length before them, what may be absent a byte
that says whether it is there.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")


class Writer:
    """Writes."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def u32(self, value: int) -> None:
        """An unsigned number: u32, a length."""
        self._varint(value)

    def signed(self, value: int) -> None:
        """A signed number of any width."""
        self._varint(-2 * value - 1 if value < 0 else 2 * value)

    def text(self, value: str) -> None:
        """A text."""
        encoded = value.encode()
        self.u32(len(encoded))
        self._bytes += encoded

    def optional(self, value: Item | None, write: Callable[[Item], None]) -> None:
        """Something that may be absent."""
        self.byte(0 if value is None else 1)
        if value is not None:
            write(value)

    def byte(self, value: int) -> None:
        """One byte as it is."""
        self._bytes.append(value)

    def items(self, items: Iterable[Item], write: Callable[[Item], None]) -> None:
        """A list."""
        listed = list(items)
        self.u32(len(listed))
        for item in listed:
            write(item)

    def done(self) -> bytes:
        """What was written."""
        return bytes(self._bytes)

    def _varint(self, value: int) -> None:
        while value >= 128:
            self._bytes.append(value & 127 | 128)
            value >>= 7
        self._bytes.append(value)


class Reader:
    """Reads what a `Writer` wrote. Other bytes are a defect of the host, and trap."""

    def __init__(self, source: bytes) -> None:
        self._bytes = source
        self._at = 0

    def u32(self) -> int:
        return self._varint()

    def signed(self) -> int:
        value = self._varint()
        return value // 2 if value % 2 == 0 else -(value + 1) // 2

    def text(self) -> str:
        end = self.u32() + self._at
        read, self._at = self._bytes[self._at : end], end
        return read.decode()

    def optional(self, read: Callable[[], Item]) -> Item | None:
        self._at += 1
        return read() if self._bytes[self._at - 1] else None

    @property
    def is_at_end(self) -> bool:
        """Whether nothing is left: a state from before something was added to it ends where that would begin."""
        return self._at >= len(self._bytes)

    def items(self, read: Callable[[], Item]) -> list[Item]:
        return [read() for _ in range(self.u32())]

    def _varint(self) -> int:
        value, shift = 0, 0
        while True:
            byte = self._bytes[self._at]
            self._at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

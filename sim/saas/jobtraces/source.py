"""Opening a trace: plain or gzip, UTF-8 with or without a byte order mark, lines of bounded length."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from sim.errors import Fault, ScenarioError

#: Longest line, in characters: a file of one endless line must not fill the memory.
LONGEST = 1 << 20

#: Characters read for telling the format.
HEAD = 1 << 16

_TAR_MAGIC = slice(257, 262)


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """A trace as text; bytes that are not UTF-8 become the replacement character.

    Raises:
        ScenarioError: it cannot be read, is a broken or a packed archive, or is not text.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            binary = io.BufferedReader(gzip.GzipFile(fileobj=raw)) if packed else raw
            head = binary.peek(512)[:512]
            _check(path, head)
            yield io.TextIOWrapper(binary, encoding="utf-8-sig", errors="replace", newline=None)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        _fail(path, f"is not a whole gzip file: {str(error).lower()}")
    except OSError as error:
        _fail(path, f"cannot be read: {error.strerror or error}")


def lines(file: TextIO) -> Iterator[str]:
    """Lines of a file, each of bounded length.

    Raises:
        ValueError: a line is too long.
    """
    while line := file.readline(LONGEST):
        if len(line) == LONGEST and not line.endswith("\n"):
            raise ValueError(f"the line is longer than {LONGEST} characters")
        yield line


def head(path: Path) -> str:
    """The beginning of a trace.

    Raises:
        ScenarioError: it cannot be read.
    """
    with opened(path) as file:
        return file.read(HEAD)


def _check(path: Path, start: bytes) -> None:
    if start[_TAR_MAGIC] == b"ustar":
        _fail(path, "is a tar archive; unpack it and name the file inside")
    if start[:4] == b"PK\x03\x04":
        _fail(path, "is a zip archive; unpack it and name the file inside")
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        _fail(path, "is UTF-16; save it as UTF-8")
    if b"\x00" in start:
        _fail(path, "is not text")


def _fail(path: Path, message: str) -> None:
    raise ScenarioError([Fault(str(path), 0, 0, "", message)]) from None

"""Fields of a manifest, taken one by one: what nobody took is refused by its name and line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from sim.errors import did_you_mean
from sim.paas.autoscaling.quantity import canonical, parse_quantity
from sim.scenario.document import Document, Location, dotted
from sim.scenario.faults import shown

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")


class Fields:
    """A mapping of a manifest.

    Attributes:
        found: what is wrong so far, with file and line; shared by all mappings of a manifest.
    """

    def __init__(self, document: Document, at: Location, data: Any, found: list[str]) -> None:
        self.found = found
        self._document = document
        self._at = at
        self._left: dict[str, Any] = {}
        if isinstance(data, dict):
            self._left = dict(data)
            self._known = list(data)
        elif data is not None:
            self.wrong((), f"expected a mapping, got {shown(data)}")

    def wrong(self, path: Location, message: str, *, of_key: bool = False) -> None:
        """Note a fault at a place below this mapping."""
        at = (*self._at, *path)
        line, column = self._document.position(at, of_key=of_key)
        place = f"{dotted(at)}: " if at else ""
        self.found.append(f"{self._document.file}:{line}:{column}: {place}{message}")

    def raw(self, key: str) -> Any:
        """Take a value of any type; None if it is not there."""
        return self._left.pop(key, None)

    def __contains__(self, key: str) -> bool:
        return self._left.get(key) is not None

    def ignore(self, *keys: str) -> None:
        """Take what says nothing about scaling."""
        for key in keys:
            self._left.pop(key, None)

    def text(self, key: str, default: str = "", choices: Sequence[str] = ()) -> str:
        """Take a text, one of the choices if there are any."""
        value = self.raw(key)
        if value is None:
            return default
        if not isinstance(value, str):
            self.wrong((key,), f"expected text, got {shown(value)}")
            return default
        if choices and value not in choices:
            self.wrong((key,), f"{value!r} is not supported{did_you_mean(value, choices)}")
            return default
        return value

    def whole(self, key: str, default: int, least: int = 0) -> int:
        """Take a whole number, also one in quotes."""
        value = self.raw(key)
        if value is None:
            return default
        if isinstance(value, str) and re.fullmatch(r"[+-]?\d+", value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            self.wrong((key,), f"expected a whole number of at least {least}, got {shown(value)}")
            return default
        return value

    def number(self, key: str, default: float | None = None, above: float | None = None) -> float | None:
        """Take a number, also a quantity in quotes."""
        written = self._left.get(key)
        value = self.quantity(key)
        if value is None:
            return default
        if above is not None and not value > above:
            got = canonical(written) if isinstance(written, str) else shown(written)
            self.wrong((key,), f"must be more than {above:g}, got {got}")
            return default
        return float(value)

    def quantity(self, key: str) -> Fraction | None:
        """Take a Kubernetes quantity."""
        value = self.raw(key)
        if value is None:
            return None
        try:
            if isinstance(value, bool) or not isinstance(value, (int, float, str)):
                raise ValueError(f"expected a quantity, got {shown(value)}")
            return parse_quantity(str(value)) if isinstance(value, str) else Fraction(str(value))
        except ValueError as error:
            self.wrong((key,), str(error))
            return None

    def seconds(self, key: str, default: float) -> float:
        """Take a duration as Go writes it (`1h2m3s`)."""
        value = self.raw(key)
        if value is None:
            return default
        match = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if match is None or not value:
            self.wrong((key,), f"expected a duration such as 90s or 1m30s, got {shown(value)}")
            return default
        hours, minutes, seconds = (float(part or 0) for part in match.groups())
        return 3600.0 * hours + 60.0 * minutes + seconds

    def fields(self, key: str) -> Fields:
        """Take a mapping; an empty one if it is not there."""
        return Fields(self._document, (*self._at, key), self.raw(key), self.found)

    def items(self, key: str) -> list[Fields]:
        """Take a list of mappings."""
        value = self.raw(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.wrong((key,), f"expected a list, got {shown(value)}")
            return []
        return [
            Fields(self._document, (*self._at, key, index), item, self.found)
            for index, item in enumerate(value)
        ]

    def require(self, key: str) -> bool:
        """Whether a key is there; a fault if not."""
        if key in self:
            return True
        self.wrong((), f"{key} is missing")
        return False

    def close(self) -> None:
        """Refuse what nobody took."""
        for key in self._left:
            self.wrong((key,), "is not supported", of_key=True)
        self._left = {}

    def close_under(self, prefix: str) -> None:
        """Refuse only those keys nobody took that begin with a prefix; the others are not ours."""
        for key in list(self._left):
            if not key.startswith(prefix):
                del self._left[key]
        self.close()

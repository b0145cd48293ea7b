"""Quantities as Kubernetes writes them: `500m`, `1.5Gi`, `1e3`.

Source: kubernetes/apimachinery pkg/api/resource/quantity.go, read mid-2026.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_FORM = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?(.*)", re.DOTALL)
_EXPONENT = re.compile(r"[eE][+-]?\d+")
_LARGEST = 2**63 - 1
_NANO = Fraction(1, 10**9)


def parse_quantity(text: str) -> Fraction:
    """The exact value; finer than nano is rounded away from zero, larger than 2^63 - 1 cut to that.

    Raises:
        ValueError: not a quantity.
    """
    match = _FORM.fullmatch(text)
    if not text or match is None:
        raise ValueError(f"{text!r} is not a quantity such as 500m, 2 or 1.5Gi")
    sign, whole, fraction, suffix = match[1], match[2] or "", match[3] or "", match[4]
    if suffix in _DECIMAL:
        factor = Fraction(10) ** _DECIMAL[suffix]
    elif suffix in _BINARY:
        factor = Fraction(2) ** _BINARY[suffix]
    elif _EXPONENT.fullmatch(suffix) and abs(int(suffix[1:])) <= 100:
        factor = Fraction(10) ** int(suffix[1:])
    else:
        raise ValueError(f"{text!r} is not a quantity such as 500m, 2 or 1.5Gi")
    digits = Fraction(int(whole + fraction or "0"), 10 ** len(fraction))
    value = Fraction(math.ceil(digits * factor / _NANO)) * _NANO
    value = min(value, Fraction(_LARGEST))
    return -value if sign == "-" else value


def canonical(text: str) -> str:
    """The same quantity as Kubernetes prints it: a whole number and the largest suffix that leaves one.

    Binary suffixes stay for whole bytes from 1024 on, exponents (multiples of 3) where one was written.

    Raises:
        ValueError: not a quantity.
    """
    value = parse_quantity(text)
    suffix = text.lstrip("+-0123456789.")
    if suffix in _BINARY and value.denominator == 1 and abs(value) >= 1024:
        power = max(p for p in (0, *_BINARY.values()) if value % 2**p == 0)
        unit = next((name for name, p in _BINARY.items() if p == power), "")
        return f"{value / 2**power}{unit}"
    if value == 0:
        return "0"
    power = max(p for p in range(-9, 19, 3) if (value / Fraction(10) ** p).denominator == 1)
    number = value / Fraction(10) ** power
    if suffix not in _DECIMAL and suffix not in _BINARY:
        while number % 1000 == 0:
            number, power = number / 1000, power + 3
        return f"{number}e{power}" if power else str(number)
    return f"{number}{next(name for name, p in _DECIMAL.items() if p == power)}"


def milli(value: Fraction) -> int:
    """Thousandths, rounded away from zero."""
    size = math.ceil(abs(value) * 1000)
    return size if value >= 0 else -size

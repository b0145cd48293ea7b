from fractions import Fraction

import pytest

from sim.paas.autoscaling.quantity import milli, parse_quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("1.5", Fraction(3, 2)),
        ("500m", Fraction(1, 2)),
        ("-2k", -2000),
        ("+3", 3),
        ("1M", 10**6),
        ("1.5Gi", 3 * 2**29),
        (".001Ki", Fraction(128, 125)),
        ("1e3", 1000),
        ("1E3", 1000),
        ("1E", 10**18),
        ("12e-1", Fraction(6, 5)),
        ("0.0000000001", Fraction(1, 10**9)),  # finer than nano: away from zero
        ("-0.0000000001", -Fraction(1, 10**9)),
        ("9Ei", 2**63 - 1),
        ("5u", Fraction(5, 10**6)),
    ],
)
def test_quantities(text, value):
    assert parse_quantity(text) == value


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "1K", "1ki", "1KB", "1MiB", "1i", "1e", "1e+", "1mm", "1 Gi", "1,000", "0x10", "1e1e1"],
)
def test_not_a_quantity(text):
    with pytest.raises(ValueError, match="not a quantity"):
        parse_quantity(text)


def test_thousandths_are_rounded_away_from_zero():
    assert milli(parse_quantity("1.5")) == 1500
    assert milli(parse_quantity("1n")) == 1
    assert milli(parse_quantity("-1n")) == -1

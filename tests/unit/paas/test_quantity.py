from fractions import Fraction

import pytest

from sim.paas.autoscaling.quantity import canonical, milli, parse_quantity


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


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("0", "0"), ("0Gi", "0"), ("0e3", "0"), ("1Ki", "1Ki"), ("8Mi", "8Mi"), ("1024Ki", "1Mi"),
        ("1.5Gi", "1536Mi"), ("0.5Mi", "512Ki"), (".5Ki", "512"), (".001Ki", "1024m"),
        ("0.05Gi", "53687091200m"), ("0.025Ti", "27487790694400m"), ("1000Ki", "1000Ki"),
        ("1.5", "1500m"), ("100.035k", "100035"), ("1000m", "1"), ("1000k", "1M"), ("12.5M", "12500k"),
        ("1e3", "1e3"), ("1E6", "1e6"), ("1000e3", "1e6"), ("12e-1", "1200e-3"), ("1e2", "100"), ("1E", "1E"),
        ("0.0000000001", "1n"), ("1.1n", "2n"), ("-5000n", "-5u"), ("-1.5Gi", "-1536Mi"),
        ("9Ei", "9223372036854775807"), ("1023", "1023"), ("1024", "1024"), ("+3Ki", "3Ki"),
    ],
)  # fmt: skip
def test_canonical_form(text, printed):
    assert canonical(text) == printed
    assert parse_quantity(printed) == parse_quantity(text)

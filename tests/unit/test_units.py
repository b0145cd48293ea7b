import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import units
from sim.units import Quantity, parse, pattern, show


@pytest.mark.parametrize(
    ("text", "dimension", "expected"),
    [
        ("250ms", "duration", 0.25),
        ("1h30m", "duration", 5400.0),
        ("2 min", "duration", 120.0),
        ("0", "duration", 0.0),
        ("16Gi", "bytes", 16 * 2**30),
        ("16GB", "bytes", 16e9),
        ("10Gbps", "bandwidth", 1.25e9),
        ("2GB/s", "bandwidth", 2e9),
        ("1.5 USD/h", "price", 1.5 / 3600),
        ("0.09 USD/GB", "price_per_byte", 0.09 / 1e9),
        ("0.06 kWh/GB", "energy_per_byte", 0.06 * 3.6e6 / 1e9),
        ("5J / MB", "energy_per_byte", 5e-6),
        ("360 g/kWh", "carbon_intensity", 1e-4),
        ("12/h", "rate", 12 / 3600),
        ("500m", "cores", 0.5),
        (4, "cores", 4.0),
        ("80%", "fraction", 0.8),
        ("1e3ms", "duration", 1.0),
        ("312TFLOPS", "flops", 312e12),
        ("2kWh", "energy", 7.2e6),
        ("50M", "count", 5e7),
    ],
)
def test_parses_what_people_write(text, dimension, expected):
    assert parse(text, dimension) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(
    ("value", "dimension", "says"),
    [
        ("30 parsecs", "duration", "write 250ms"),
        (5, "duration", "has no unit"),
        ("5 GB", "duration", "not a duration"),
        (True, "cores", "got True"),
        (None, "bytes", "got None"),
        ("5J", "energy_per_byte", "not an energy per size"),
        (3, "energy_per_byte", "write 0.06 kWh/GB"),
        ("fast", "bandwidth", "not a bandwidth"),
        ("10Gpbs", "bandwidth", 'did you mean "Gbps"'),
        (math.inf, "fraction", "not a fraction"),
        ("1e999s", "duration", "too large"),
        ("1e308d", "duration", "too large"),
    ],
)
def test_refuses_what_is_no_quantity_and_says_what_would_be(value, dimension, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        parse(value, dimension)


def test_bounds_are_checked_after_parsing():
    with pytest.raises(ValueError, match="more than 0"):
        Quantity("duration", gt=0).check("0s")
    with pytest.raises(ValueError, match="at most 1"):
        Quantity("fraction", le=1).check("120%")
    with pytest.raises(ValueError, match="at least 0"):
        Quantity("duration", ge=0).check("-3s")


@given(
    dimension=st.sampled_from(sorted(units._UNITS)),
    number=st.one_of(st.integers(0, 10**6), st.floats(0.001, 1e6)),
    data=st.data(),
)
def test_the_schema_pattern_accepts_exactly_what_parse_accepts(dimension, number, data):
    unit = data.draw(st.sampled_from(sorted(units._UNITS[dimension])))
    space = data.draw(st.sampled_from(["", " "]))
    text = f"{number}{space}{unit}"
    assert parse(text, dimension) == pytest.approx(float(number) * units._UNITS[dimension][unit], rel=1e-12)
    assert re.fullmatch(pattern(dimension), text)
    assert not re.fullmatch(pattern(dimension), text + "zz")


@pytest.mark.parametrize(
    ("value", "dimension", "text"),
    [
        (0.0123, "duration", "12.3 ms"),
        (5400, "duration", "1.5 h"),
        (1234567, "bytes", "1.23 MB"),
        (0.9987, "fraction", "99.9 %"),
        (12.3456, "money", "$12.3"),
        (-2.5, "money", "-$2.5"),
        (0.000111, "money", "0.0111 ¢"),
        (1.25e9, "bandwidth", "10 Gbit/s"),
        (5e6, "energy", "1.39 kWh"),
        (123456.0, "", "123,456"),
        (math.nan, "duration", "–"),
        (math.inf, "duration", "∞"),
        (0, "bytes", "0 B"),
    ],
)
def test_shows_three_digits_in_a_fitting_unit(value, dimension, text):
    assert show(value, dimension) == text

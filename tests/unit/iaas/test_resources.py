import pytest

from sim.errors import StratusError
from sim.iaas.resources import RESOURCE_NAMES, InvariantError, Resources


def test_columns_are_the_fields_in_order():
    assert RESOURCE_NAMES == ("cpu", "memory", "accelerators", "disk")
    assert tuple(Resources(disk=4, accelerators=3, memory=2, cpu=1)) == (1, 2, 3, 4)
    assert tuple(Resources()) == (0, 0, 0, 0)


def test_a_broken_invariant_is_an_error_of_stratus_with_exit_code_1():
    with pytest.raises(StratusError) as caught:
        raise InvariantError("x")
    assert caught.value.exit_code == 1

import dataclasses

import pytest

from sim import registry
from sim.errors import UsageError


@pytest.fixture
def empty(monkeypatch):
    monkeypatch.setattr(registry, "_registry", {})


def test_a_policy_is_a_dataclass_with_its_tag(empty):
    @registry.policy("router", "nearest")
    class Nearest:
        """Send to the nearest."""

        choices: int = 2

    assert [field.name for field in dataclasses.fields(Nearest)] == ["choices", "policy"]
    assert Nearest(choices=3).policy == "nearest"
    assert registry.lookup("router", "nearest") is Nearest
    assert registry.names("router") == ["nearest"]


def test_a_name_is_taken_once_and_needs_help_text(empty):
    @registry.policy("router", "nearest")
    class Nearest:
        """Send to the nearest."""

    with pytest.raises(ValueError, match="registered twice"):

        @registry.policy("router", "nearest")
        class Other:
            """Another."""

    with pytest.raises(TypeError, match="docstring"):

        @registry.policy("router", "silent")
        class Silent:
            pass


def test_a_wrong_name_brings_the_nearest(empty):
    @registry.policy("router", "least-load")
    class LeastLoad:
        """Send to the least loaded."""

    with pytest.raises(UsageError, match='did you mean "least-load"'):
        registry.lookup("router", "least-loda")


def test_a_run_works_on_copies(empty):
    @registry.policy("router", "stateful")
    class Stateful:
        """Remembers."""

        seen: list[int] = dataclasses.field(default_factory=list)

    configured = Stateful()
    copy = registry.fresh(configured)
    copy.seen.append(1)
    assert configured.seen == []
    assert copy == Stateful(seen=[1])


def test_user_policies_come_from_a_file(empty, tmp_path):
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from sim.registry import policy\n\n\n@policy('router', 'mine')\nclass Mine:\n    '''Mine.'''\n"
    )
    registry.load_file(plugin)
    assert registry.names("router") == ["mine"]
    with pytest.raises(UsageError, match="no such file"):
        registry.load_file(tmp_path / "absent.py")

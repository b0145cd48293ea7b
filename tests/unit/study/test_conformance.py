"""What `stratus check` finds in policies that break a rule."""

import json

import pytest

from sim import registry
from sim.cli.main import main
from sim.errors import UsageError
from sim.study.conformance import examine

BROKEN = '''
"""Policies that each break one rule."""
import itertools
import random

from sim.registry import policy

_turn = itertools.count()


@policy("router", "broken-dice")
class Dice:
    """Any replica, by a random number of the whole process."""

    def pick(self, call, replicas, now):
        """One of them."""
        return replicas[random.randrange(len(replicas))]


@policy("router", "broken-memory")
class Memory:
    """In turn, with a turn that outlives the run."""

    def pick(self, call, replicas, now):
        """The next."""
        return replicas[next(_turn) % 3 % len(replicas)]


@policy("stabiliser", "broken-crash")
class Crash:
    """Fails when it is asked."""

    def start(self):
        """Nothing."""

    def hold(self, wish, current, now):
        """Divides by nothing."""
        return wish // 0


@policy("router", "broken-hand")
class Hand:
    """takes what it is shown apart"""

    def pick(self, call, replicas, now):
        """The last, which it removes."""
        return replicas.pop()


@policy("router", "broken-hash")
class Hash:
    """By the hash of a text, which is another in each process."""

    def pick(self, call, replicas, now):
        """Whoever it names."""
        return replicas[hash(str(call.id)) % len(replicas)]


@policy("router", "sound")
class Sound:
    """The first replica, always."""

    def pick(self, call, replicas, now):
        """The first."""
        return replicas[0]
'''


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    path = tmp_path_factory.mktemp("plugins") / "broken.py"
    path.write_text(BROKEN)
    before = {kind: dict(found) for kind, found in registry._registry.items()}
    yield path
    registry._registry.clear()
    registry._registry.update(before)


@pytest.mark.parametrize(
    ("policy", "check"),
    [
        ("router/broken-dice", "it uses no random numbers but its stream's"),
        ("router/broken-memory", "the same scenario gives the same run again"),
        ("router/broken-hand", "pick leaves its arguments alone"),
        ("router/broken-hand", "the first line of its docstring is a sentence"),
        ("stabiliser/broken-crash", "it runs"),
    ],
)
def test_a_broken_rule_is_named(plugin, policy, check):
    registry.load_builtin()
    registry.load_file(plugin)
    findings = examine(*policy.split("/"))
    assert check in [finding.check for finding in findings if not finding.passed]


def test_the_command_tells_a_sound_policy_from_broken_ones(plugin, capsys):
    assert main(["check", f"{plugin}:Sound"]) == 0
    assert "WRONG" not in capsys.readouterr().out
    assert main(["check", "--json", f"{plugin}:Hash", f"{plugin}:Crash"]) == 1
    told = json.loads(capsys.readouterr().out)
    wrong = [[f["check"] for f in item["findings"] if not f["passed"]] for item in told["policies"]]
    assert wrong == [["another process gives the same run"], ["it runs"]]


def test_what_cannot_be_checked_is_a_usage_error(plugin, capsys, tmp_path):
    assert main(["check", "router/least-lod"]) == 2
    assert 'did you mean "least-load"' in capsys.readouterr().err
    assert main(["check", f"{plugin}:Sund"]) == 2
    assert 'did you mean "Sound"' in capsys.readouterr().err
    assert main(["check", "no.such.module"]) == 2
    (tmp_path / "empty.py").write_text("")
    assert main(["check", str(tmp_path / "empty.py")]) == 2
    assert "registers no policy" in capsys.readouterr().err
    with pytest.raises(UsageError):
        examine("router", "nothing")


def test_parameters_are_given_as_in_a_scenario(capsys):
    assert main(["check", "time/constant"]) == 1
    assert "value: is missing" in capsys.readouterr().out
    assert main(["check", "time/constant", "--with", "value=300ms"]) == 0

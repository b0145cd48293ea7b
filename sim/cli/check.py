"""`stratus check`: whether policies keep the rules."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from sim.cli.console import common, out, out_json, plug_in
from sim.errors import StratusError, UsageError, did_you_mean


@click.command("check")
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@click.option(
    "--with",
    "given",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of the policy, as in a scenario. Repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@common
def check_command(
    targets: tuple[str, ...], given: tuple[str, ...], as_json: bool, plugins: tuple[Path, ...]
) -> int:
    """Try policies in a small platform: do they run, repeat, and leave alone what they are shown?

    TARGET is a Python file (all policies in it), MODULE:CLASS or FILE.py:CLASS, or the KIND/NAME of a
    registered policy, such as router/least-load. Exit code 1 if a policy breaks a rule.
    """
    from sim.study.conformance import examine

    parameters = _parameters(given)
    told: list[dict[str, Any]] = []
    good = True
    for target in targets:
        file, policies = _policies(target)
        for kind, name in policies:
            findings = examine(kind, name, parameters)
            if all(finding.passed for finding in findings):
                findings.append(_elsewhere(file or _only(plugins), kind, name, parameters))
            good = good and all(finding.passed for finding in findings)
            told.append({"kind": kind, "name": name, "findings": findings})
    if as_json:
        for item in told:
            item["findings"] = [
                {"check": f.check, "passed": f.passed, "detail": "" if f.passed else f.detail}
                for f in item["findings"]
            ]
        out_json({"version": 1, "passed": good, "policies": told})
        return 0 if good else 1
    for item in told:
        out(f"{item['kind']} {item['name']}")
        for finding in item["findings"]:
            out(
                f"  ok    {finding.check}" if finding.passed else f"  WRONG {finding.check}: {finding.detail}"
            )
    return 0 if good else 1


def _only(plugins: tuple[Path, ...]) -> Path | None:
    return plugins[0] if len(plugins) == 1 else None


def _parameters(given: tuple[str, ...]) -> dict[str, Any]:
    """Parameters from the command line, read as YAML."""
    from sim.scenario.overrides import assignment

    found: dict[str, Any] = {}
    for item in given:
        try:
            path, value = assignment(item)
        except (ValueError, StratusError) as error:
            raise UsageError(f"--with {item}: {error}") from None
        found[str(path[0])] = value
    return found


def _policies(target: str) -> tuple[Path | None, list[tuple[str, str]]]:
    """The file that has to be loaded, if any, and (kind, name) of each policy that is meant."""
    import importlib

    from sim import registry
    from sim.study.conformance import policies_of

    registry.load_builtin()
    kind, slash, name = target.partition("/")
    if slash and kind in registry.kinds() and not target.endswith(".py"):
        registry.lookup(kind, name)
        return None, [(kind, name)]
    module, _, wanted = target.partition(":")
    path = Path(module) if module.endswith(".py") else None
    if path is not None:
        module = plug_in(path)
    else:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise UsageError(
                f"{target}: {error}; expected FILE.py, MODULE:CLASS or KIND/NAME, such as router/least-load"
            ) from None
    found = policies_of(module)
    if wanted:
        named = {registry.lookup(*item).__name__: item for item in found}
        if wanted not in named:
            raise UsageError(f"{target}: no policy class {wanted!r}{did_you_mean(wanted, named)}")
        found = [named[wanted]]
    if not found:
        raise UsageError(f"{target}: registers no policy")
    return path, found


_SCRIPT = """
import json, sys
from pathlib import Path
from sim import registry
from sim.study.conformance.examine import run_print
from sim.study.conformance.trials import trial
file, kind, name, parameters = json.loads(sys.argv[1])
if file:
    registry.load_file(Path(file))
print(run_print(trial(kind, name, parameters)))
"""


def _elsewhere(file: Path | None, kind: str, name: str, parameters: dict[str, Any]) -> Any:
    """Whether a process with other hashes of texts gives the same run."""
    import json

    from sim.study.conformance import Finding
    from sim.study.conformance.examine import run_print
    from sim.study.conformance.trials import trial

    given = json.dumps([str(file) if file else "", kind, name, parameters])
    done = subprocess.run(  # noqa: S603 - this Python and a text of our own
        [sys.executable, "-c", _SCRIPT, given],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONHASHSEED": "1"},
    )
    check = "another process gives the same run"
    if done.returncode:
        return Finding(check, False, (done.stderr.strip().splitlines() or ["it failed"])[-1])
    same = done.stdout.strip() == run_print(trial(kind, name, parameters))
    return Finding(check, same, "the order of a set or the hash of a text decides something")

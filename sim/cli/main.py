"""The command `stratus`: finds the subcommand, and turns errors into exit codes.

0 done; 1 a crash (please report it); 2 the command line is wrong; 3 a file is wrong;
130 stopped by Ctrl-C. Data goes to stdout, everything else to stderr.
"""

from __future__ import annotations

import importlib
import re
import sys
import traceback
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import click

from sim import __version__
from sim.cli.console import INTERRUPTED, note, say_faults, tolerant
from sim.errors import ScenarioError, StratusError, did_you_mean

#: Subcommand -> module that has it, and its line in the help. The modules are read when needed.
COMMANDS = {
    "run": ("sim.cli.run", "Run scenarios with their studies and write the reports."),
    "compare": ("sim.cli.run", "Vary settings of a scenario and compare the results."),
    "plan": ("sim.cli.plan", "Find the cheapest configuration that keeps your objectives."),
    "report": ("sim.cli.run", "Render a results folder again."),
    "explain": ("sim.cli.explain", "Say why a job waited, what a node did, how things stood at a moment."),
    "validate": ("sim.cli.files", "Check scenario files, or without a file the simulator itself."),
    "init": ("sim.cli.files", "Write a commented scenario to start from."),
    "schema": ("sim.cli.files", "Print the JSON Schema of scenario files, for editors."),
    "calibrate": ("sim.cli.calibrate", "Fit a language model's step times to your own measurements."),
    "trace": ("sim.cli.trace", "Inspect, convert and generate traces of training jobs."),
    "train": ("sim.cli.train", "Train an autoscaler on a scenario and write its weights."),
    "check": ("sim.cli.check", "Try policies of your own: do they keep the rules?"),
    "list": ("sim.cli.names", "List policies and the rows of the catalog."),
    "describe": ("sim.cli.names", "Explain a policy or a row of the catalog."),
}


class Lazy(click.Group):
    """A group whose commands are imported when they are called, so that `--help` is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), f"{cmd_name}_command")
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments name; an unknown one gives the nearest."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"no command is called {args[0]!r}{did_you_mean(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from the table above."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="stratus", message="%(prog)s %(version)s")
def cli() -> None:
    """Simulate a cloud AI platform in three layers and see what a choice costs.

    Start with `stratus init`, then `stratus run scenario.yaml`.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and give its exit code; `--debug` lets errors through as tracebacks."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    tolerant()
    try:
        result = cli.main(args=given, prog_name="stratus", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        note("stratus: stopped")
        return INTERRUPTED
    except ScenarioError as error:
        if "--debug" in given:
            raise
        say_faults(error.faults)
        return error.exit_code
    except StratusError as error:
        if "--debug" in given:
            raise
        note(f"stratus: {error}")
        return error.exit_code
    except Exception as error:
        if "--debug" in given:
            raise
        own = _in_plugin(error, given)
        if own:
            note(f"stratus: {own}: {type(error).__name__}: {error}")
            return StratusError.exit_code
        note(f"stratus: unexpected {type(error).__name__}: {error}")
        note("This should not happen. Run it again with --debug and report what it prints.")
        return 1
    return result if isinstance(result, int) else 0


def _in_plugin(error: Exception, given: Sequence[str]) -> str:
    """Where in a file named by `--plugin` an error arose, also in another process; nothing if nowhere."""
    named = [after for before, after in pairwise(given) if before == "--plugin"]
    named += [each.removeprefix("--plugin=") for each in given if each.startswith("--plugin=")]
    files = {Path(name).resolve() for name in named}
    trail = "".join(traceback.format_exception(error))
    places = re.findall(r'File "([^"]+)", line (\d+)', trail)
    return next((f"{file}:{line}" for file, line in reversed(places) if Path(file).resolve() in files), "")

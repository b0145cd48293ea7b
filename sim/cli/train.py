"""`stratus train`: an autoscaler learns on a scenario."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sim.cli.console import common, note, out_json

FILE = click.Path(path_type=Path)


@click.command("train")
@click.argument("file", type=FILE)
@click.option("--service", help="Whose replicas it decides; the only service unless given.")
@click.option(
    "--algorithm",
    type=click.Choice(["ppo", "dqn", "q-learning", "linear-q"]),
    default="ppo",
    show_default=True,
    help="How it learns; ppo and dqn need the extra `rl`.",
)
@click.option("--residual", is_flag=True, help="Steps correct what the service's own autoscaler wants.")
@click.option("--fluid", is_flag=True, help="Learn on the service in closed form, many times as fast.")
@click.option(
    "--looks", type=click.IntRange(1), default=100_000, show_default=True, help="Decisions it makes."
)
@click.option("--out", type=FILE, required=True, help="File of the weights (.npz).")
@click.option("--seed", type=click.IntRange(0), help="Seed of all random numbers; the scenario's plus one.")
@click.option("--set", "sets", multiple=True, metavar="PATH=VALUE", help="Change a setting. Repeatable.")
@click.option("--day", default="24h", show_default=True, help="Time after which the load tends to repeat.")
@click.option("--period", default="15s", show_default=True, help="Time between two looks.")
@click.option(
    "--actions", type=click.IntRange(3, 21), default=5, show_default=True, help="5: -2 to +2 steps."
)
@click.option("--step", default="5%", show_default=True, help="A step, as a share of the replicas.")
@click.option("--discount", default="0.95", show_default=True, help="Worth of a reward one look later.")
@click.option("--reward", multiple=True, metavar="NAME=VALUE", help="late, churn or patience. Repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print what is said of the agent as JSON.")
@common
def train_command(file: Path, **options: Any) -> int:
    """Train an autoscaler on a scenario and write its weights.

    Use them with `autoscaler: {policy: learned, weights: FILE}`, or `q-learning` or `linear-q` by name,
    and with the same `base` if it is `--residual`. Train with another seed and on other days than you
    judge it by: the file remembers, and reports say so.
    """
    from sim.errors import UsageError, did_you_mean
    from sim.rl.training import Plan, train
    from sim.scenario.load import load

    sets = list(options["sets"])
    scenario = load(file, sets)
    seed = scenario.seed + 1 if options["seed"] is None else options["seed"]
    scenario = scenario.model_copy(update={"seed": seed})
    services = list(scenario.platform.services)
    service = options["service"] or (services[0] if len(services) == 1 else "")
    if service not in services:
        raise UsageError(f"--service {service or 'is missing'}{did_you_mean(service, services)}")
    if options["actions"] % 2 == 0:
        raise UsageError("--actions: an odd number, so that one of them keeps the replicas")
    plan = Plan(
        service,
        options["algorithm"],
        options["looks"],
        options["residual"],
        options["fluid"],
        options["actions"],
        _quantity("--step", options["step"], "fraction"),
        _quantity("--day", options["day"], "duration"),
        _quantity("--period", options["period"], "duration"),
        _quantity("--discount", options["discount"], "count", below=1.0),
        _reward(options["reward"]),
    )
    about = train(scenario, plan, options["out"], sets, lambda done: note(f"{done} of {plan.looks} looks"))
    if options["as_json"]:
        out_json(about)
    else:
        note(f"wrote {options['out']}")
    return 0


def _quantity(option: str, text: str, dimension: str, below: float = 1e9) -> float:
    from sim.errors import UsageError
    from sim.units import parse

    try:
        value = parse(float(text) if dimension == "count" else text, dimension)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None
    if not 0 < value < below:
        raise UsageError(f"{option}: expected more than 0 and less than {below:g}, got {text}")
    return value


def _reward(given: tuple[str, ...]) -> Any:
    from sim.errors import UsageError, did_you_mean
    from sim.paas.autoscaling.rewards import Reward

    found: dict[str, float] = {}
    for item in given:
        name, _, text = item.partition("=")
        if name not in Reward.__dataclass_fields__:
            raise UsageError(
                f"--reward: no part is called {name!r}{did_you_mean(name, Reward.__dataclass_fields__)}"
            )
        dimension = "duration" if name == "patience" else "count"
        found[name] = _quantity(f"--reward {name}", text, dimension)
    return Reward(**found)

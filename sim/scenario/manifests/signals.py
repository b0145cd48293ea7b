"""Which signal of a simulated service the name of a metric means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, get_args

from sim.errors import did_you_mean
from sim.paas.policies.autoscalers.signals import Signal
from sim.scenario.manifests.reader import Fields

SIGNALS: tuple[str, ...] = get_args(Signal)


class Meaning(NamedTuple):
    """A signal, and the factor from its unit to that of the metric."""

    signal: str
    factor: float = 1.0


#: Names that serving software and exporters use.
_KNOWN = {
    **{name: Meaning(name) for name in SIGNALS},
    "vllm:num_requests_waiting": Meaning("queue"),
    "vllm:num_requests_running": Meaning("running"),
    "DCGM_FI_DEV_GPU_UTIL": Meaning("utilisation", 100.0),
    "http_requests_per_second": Meaning("rate"),
    "requests_per_second": Meaning("rate"),
    "queue_length": Meaning("queue"),
}


def meaning(fields: Fields, key: str, name: str, given: Mapping[str, str]) -> Meaning | None:
    """What a metric means; a fault if nobody says.

    Args:
        fields: the mapping that holds the name.
        key: under which.
        name: of the metric.
        given: signals by name of the metric, from the scenario.
    """
    if name in given:
        return Meaning(given[name])
    if name in _KNOWN:
        return _KNOWN[name]
    hint = did_you_mean(name, _KNOWN)
    fields.wrong(
        (key,),
        f"no signal is called {name!r}{hint}; say in the scenario which it is: "
        f"`metrics: {{{name!r}: queue}}` beside `manifest` ({', '.join(SIGNALS)})",
    )
    return None

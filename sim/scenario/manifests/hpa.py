"""HorizontalPodAutoscaler, autoscaling/v2."""

from __future__ import annotations

from typing import Any

from sim.scenario.manifests.reader import Fields
from sim.scenario.manifests.signals import meaning
from sim.scenario.manifests.translation import Context, Translation

_SELECT = {"Max": "max", "Min": "min", "Disabled": "disabled"}
_RATES = {"Pods": "pods", "Percent": "percent"}
_TYPES = ("Resource", "ContainerResource", "Pods", "Object", "External")


def translate(spec: Fields, context: Context) -> Translation:
    """The policy `hpa` for the `spec` of a HorizontalPodAutoscaler."""
    spec.ignore("scaleTargetRef")
    minimum = spec.whole("minReplicas", 1)
    maximum = spec.whole("maxReplicas", max(1, minimum), 1) if spec.require("maxReplicas") else minimum
    policy: dict[str, Any] = {"policy": "hpa"}
    metrics: list[dict[str, Any]] = []
    for metric in spec.items("metrics"):
        _metric(metric, policy, metrics, context)
    if metrics:
        policy["metrics"] = metrics
    behaviour(spec, policy)
    return Translation(policy, minimum, maximum)


def _metric(metric: Fields, policy: dict[str, Any], metrics: list[dict[str, Any]], context: Context) -> None:
    kind = metric.text("type", "", _TYPES)
    if kind in ("Resource", "ContainerResource"):
        source = metric.fields(kind[0].lower() + kind[1:])
        source.ignore("container")
        name = source.text("name")
        if name != "cpu":
            source.wrong(("name",), f"use of {name!r} is not simulated; only cpu is")
        resource(source, policy, metrics, context)
        source.close()
    elif kind:
        source = metric.fields(kind.lower())
        source.ignore("describedObject")
        identity = source.fields("metric")
        identity.ignore("selector")
        found = meaning(identity, "name", identity.text("name"), context.signals)
        identity.close()
        target = _target(source, kind)
        source.close()
        if found is not None and target is not None:
            key, value = target
            metrics.append({"type": kind.lower(), "signal": found.signal, key: value / found.factor})
    metric.close()


def resource(source: Fields, policy: dict[str, Any], metrics: list[dict[str, Any]], context: Context) -> None:
    """The target of a metric of type Resource: into the policy, or into its metrics."""
    target = source.fields("target")
    kind = target.text("type", "", ("Utilization", "AverageValue"))
    if kind == "Utilization":
        percent = target.whole("averageUtilization", 80, 1)
        share = f"{percent}%"
        if percent > 100:
            # Busy servers are at most all servers.
            source.wrong(("target",), f"averageUtilization {percent}: use above 100 % is not simulated")
        elif "utilisation" in policy:
            source.wrong(("target",), "a second utilisation target is not supported")
        else:
            policy["utilisation"] = share
    elif kind == "AverageValue":
        cores = target.number("averageValue", above=0.0)
        if cores is not None:
            metrics.append({"type": "pods", "signal": "utilisation", "average": cores / context.cores})
    target.close()


def _target(source: Fields, kind: str) -> tuple[str, float] | None:
    """The key of the policy's metric, and its value."""
    target = source.fields("target")
    kinds = ("AverageValue",) if kind == "Pods" else ("AverageValue", "Value")
    chosen = target.text("type", "", kinds)
    result = None
    if chosen:
        field = "averageValue" if chosen == "AverageValue" else "value"
        if target.require(field):
            value = target.number(field, above=0.0)
            if value is not None:
                result = ("average" if chosen == "AverageValue" else "value", value)
    target.close()
    return result


def behaviour(spec: Fields, policy: dict[str, Any]) -> None:
    """Add `scale_up` and `scale_down` for the `behavior` of a spec, with the defaults of the API."""
    if "behavior" not in spec:
        return
    given = spec.fields("behavior")
    for direction, window, rates in (
        ("scaleUp", 0, [("pods", 4), ("percent", 100)]),
        ("scaleDown", 300, [("percent", 100)]),
    ):
        rules = given.fields(direction)
        made: dict[str, Any] = {"window": f"{rules.whole('stabilizationWindowSeconds', window)}s"}
        made["select"] = _SELECT[rules.text("selectPolicy", "Max", tuple(_SELECT))]
        policies = [_rate(item) for item in rules.items("policies")]
        made["policies"] = policies or [
            {"type": kind, "value": value, "period": "15s"} for kind, value in rates
        ]
        tolerance = rules.number("tolerance")
        if tolerance is not None:
            policy["tolerance_up" if direction == "scaleUp" else "tolerance_down"] = tolerance
        rules.close()
        policy["scale_up" if direction == "scaleUp" else "scale_down"] = made
    given.close()


def _rate(item: Fields) -> dict[str, Any]:
    kind = _RATES[item.text("type", "Pods", tuple(_RATES))]
    made = {
        "type": kind,
        "value": item.whole("value", 1, 1),
        "period": f"{item.whole('periodSeconds', 15, 1)}s",
    }
    item.close()
    return made

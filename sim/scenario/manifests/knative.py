"""Knative Service, serving.knative.dev/v1: the autoscaling annotations of its template."""

from __future__ import annotations

from typing import Any

from sim.scenario.manifests.reader import Fields
from sim.scenario.manifests.translation import Translation

PREFIX = "autoscaling.knative.dev/"
_KPA = "kpa.autoscaling.knative.dev"


def translate(spec: Fields) -> Translation:
    """The policy `knative` for the `spec` of a Service."""
    spec.ignore("traffic")
    template = spec.fields("template")
    metadata = template.fields("metadata")
    metadata.ignore("labels", "name", "creationTimestamp")
    annotations = metadata.fields("annotations")
    container = template.fields("spec")
    policy: dict[str, Any] = {"policy": "knative"}
    limit = container.whole("containerConcurrency", 0)
    if limit:
        policy["container_concurrency"] = limit
    made = annotated(annotations, policy)
    metadata.close()
    template.close()
    return made


def annotated(annotations: Fields, policy: dict[str, Any]) -> Translation:
    """Take the autoscaling annotations; those of others say nothing about scaling."""

    def name(key: str, old: str = "") -> str:
        return PREFIX + (old if old and PREFIX + old in annotations else key)

    annotations.text(PREFIX + "class", _KPA, (_KPA,))
    metric = annotations.text(PREFIX + "metric", "", ("concurrency", "rps"))
    if metric:
        policy["metric"] = metric
    target = annotations.number(PREFIX + "target", above=0.0)
    if target is not None:
        policy["target"] = target
    for key, parameter in (
        ("target-utilization-percentage", "target_utilisation"),
        ("panic-window-percentage", "panic_window"),
    ):
        percent = annotations.number(PREFIX + key, above=0.0)
        if percent is not None:
            policy[parameter] = f"{percent:g}%"
    threshold = annotations.number(PREFIX + "panic-threshold-percentage", above=100.0)
    if threshold is not None:
        policy["panic_threshold"] = threshold / 100.0
    burst = annotations.number(name("target-burst-capacity", "targetBurstCapacity"))
    if burst is not None:
        policy["burst_capacity"] = burst
    activation = annotations.whole(PREFIX + "activation-scale", 1, 1)
    if activation > 1:
        policy["activation_scale"] = activation
    for key, parameter in (
        ("window", "stable_window"),
        ("scale-down-delay", "scale_down_delay"),
        ("scale-to-zero-pod-retention-period", "retention"),
    ):
        seconds = annotations.seconds(PREFIX + key, -1.0)
        if seconds >= 0.0:
            policy[parameter] = f"{seconds:g}s"
    minimum = annotations.whole(name("min-scale", "minScale"), 0)
    maximum = annotations.whole(name("max-scale", "maxScale"), 0)
    initial = annotations.whole(name("initial-scale", "initialScale"), 1)
    annotations.close_under(PREFIX)
    return Translation(policy, minimum, maximum or None, max(minimum, initial))

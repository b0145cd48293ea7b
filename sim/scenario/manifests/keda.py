"""KEDA ScaledObject, keda.sh/v1alpha1."""

from __future__ import annotations

from typing import Any

from sim.scenario.manifests.hpa import behaviour
from sim.scenario.manifests.reader import Fields
from sim.scenario.manifests.signals import Meaning, meaning
from sim.scenario.manifests.translation import Context, Translation

#: Triggers that measure a queue, with the keys of their threshold and activation threshold.
QUEUES = {
    "rabbitmq": ("value", "activationValue"),
    "kafka": ("lagThreshold", "activationLagThreshold"),
    "aws-sqs-queue": ("queueLength", "activationQueueLength"),
    "azure-queue": ("queueLength", "activationQueueLength"),
    "azure-servicebus": ("messageCount", "activationMessageCount"),
    "redis": ("listLength", "activationListLength"),
    "redis-streams": ("lagCount", "activationLagCount"),
}
_TYPES = ("cpu", "prometheus", *QUEUES)


def translate(spec: Fields, context: Context) -> Translation:
    """The policy `keda` for the `spec` of a ScaledObject."""
    spec.ignore("scaleTargetRef")
    policy: dict[str, Any] = {"policy": "keda"}
    for key, parameter in (
        ("pollingInterval", "polling"),
        ("cooldownPeriod", "cooldown"),
        ("initialCooldownPeriod", "initial_cooldown"),
    ):
        if key in spec:
            policy[parameter] = f"{spec.whole(key, 0)}s"
    if "idleReplicaCount" in spec:
        policy["idle"] = spec.whole("idleReplicaCount", 0)
    minimum = spec.whole("minReplicaCount", 0)
    maximum = spec.whole("maxReplicaCount", 100, 1)
    advanced = spec.fields("advanced")
    advanced.ignore("restoreToOriginalReplicaCount")
    hpa = advanced.fields("horizontalPodAutoscalerConfig")
    hpa.ignore("name")
    behaviour(hpa, policy)
    without_tolerance(hpa, policy)
    hpa.close()
    advanced.close()
    spec.require("triggers")
    made = [_trigger(trigger, policy, context) for trigger in spec.items("triggers")]
    policy["triggers"] = [trigger for trigger in made if trigger is not None]
    return Translation(policy, minimum, maximum)


def without_tolerance(given: Fields, policy: dict[str, Any]) -> None:
    """Refuse what the HPA that KEDA makes cannot be told."""
    for key in ("tolerance_up", "tolerance_down"):
        if policy.pop(key, None) is not None:
            given.wrong((), "behavior.tolerance is not supported with KEDA")


def _trigger(trigger: Fields, policy: dict[str, Any], context: Context) -> dict[str, Any] | None:
    trigger.ignore("authenticationRef", "useCachedMetrics")
    name = trigger.text("name")
    kind = trigger.text("type", "", _TYPES)
    kinds = ("Utilization",) if kind == "cpu" else ("AverageValue", "Value")
    metric = trigger.text("metricType", kinds[0], kinds)
    metadata = trigger.fields("metadata")
    trigger.close()
    if not kind:
        return None
    if kind == "cpu":
        metadata.ignore("containerName")
        percent = metadata.whole("value", 80, 1) if metadata.require("value") else 80
        if percent > 100:
            metadata.wrong(("value",), "use above 100 % is not simulated")
        policy["utilisation"] = f"{min(percent, 100)}%"
        metadata.close()
        return None
    if kind == "prometheus":
        keys = ("threshold", "activationThreshold")
        called = name or metadata.text("metricName")
        query = metadata.text("query")
        key = "metricName" if called and not name else "query"
        known = called if called in context.signals or query not in context.signals else query
        found = meaning(metadata, key, known or query, context.signals)
    else:
        keys, found = QUEUES[kind], Meaning("queue")
    if found is None or not metadata.require(keys[0]):
        return None
    threshold = metadata.number(keys[0], above=0.0)
    activation = metadata.number(keys[1], 0.0)
    if threshold is None or activation is None:
        return None
    # What is left of the metadata says where the metric comes from.
    return {
        "signal": found.signal,
        "threshold": threshold / found.factor,
        "activation": activation / found.factor,
        "type": "average" if metric == "AverageValue" else "value",
    }

"""KEDA ScaledJob, keda.sh/v1alpha1."""

from __future__ import annotations

from typing import Any

from sim.scenario.manifests.keda import QUEUES
from sim.scenario.manifests.reader import Fields

_STRATEGIES = ("default", "custom", "accurate", "eager")


def translate(spec: Fields) -> dict[str, Any]:
    """What stands under `scaled_job` for the `spec` of a ScaledJob."""
    # What runs, and what is kept of jobs that have ended.
    spec.ignore(
        "jobTargetRef", "successfulJobsHistoryLimit", "failedJobsHistoryLimit", "envSourceContainerName",
        "rollout", "rolloutStrategy",
    )  # fmt: skip
    made: dict[str, Any] = {}
    if "pollingInterval" in spec:
        made["polling"] = f"{spec.whole('pollingInterval', 30, 1)}s"
    if "maxReplicaCount" in spec:
        made["max"] = spec.whole("maxReplicaCount", 100, 1)
    if spec.whole("minReplicaCount", 0) > 0:
        spec.wrong(("minReplicaCount",), "jobs without an item in the queue are not simulated")
    _strategy(spec.fields("scalingStrategy"), made)
    spec.require("triggers")
    triggers = spec.items("triggers")
    if len(triggers) > 1:
        spec.wrong(("triggers", 1), "one queue starts the jobs here; a second trigger is not supported")
    for trigger in triggers[:1]:
        _trigger(trigger, made)
    return made


def _strategy(given: Fields, made: dict[str, Any]) -> None:
    strategy = given.text("strategy", "default", _STRATEGIES)
    made["strategy"] = strategy
    deduction = given.whole("customScalingQueueLengthDeduction", 0)
    share = given.number("customScalingRunningJobPercentage", 0.0)
    if strategy == "custom":
        made["deduction"] = deduction
        if share is not None and share > 1.0:
            given.wrong(("customScalingRunningJobPercentage",), "is a share: at most 1")
            share = 1.0
        made["running_share"] = share or 0.0
    # How several triggers are taken together says nothing where there is one.
    given.ignore("multipleScalersCalculation")
    given.close()


def _trigger(trigger: Fields, made: dict[str, Any]) -> None:
    trigger.ignore("authenticationRef", "useCachedMetrics", "name")
    kind = trigger.text("type", "", tuple(QUEUES))
    trigger.text("metricType", "AverageValue", ("AverageValue",))
    metadata = trigger.fields("metadata")
    trigger.close()
    if not kind:
        return
    keys = QUEUES[kind]
    if metadata.require(keys[0]):
        target = metadata.number(keys[0], above=0.0)
        if target is not None:
            made["target"] = target
    activation = metadata.number(keys[1], 0.0)
    if activation:
        made["activation"] = activation

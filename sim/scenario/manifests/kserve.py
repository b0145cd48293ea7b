"""KServe InferenceService, serving.kserve.io/v1beta1: the scaling of its predictor."""

from __future__ import annotations

from typing import Any

from sim.scenario.manifests import hpa
from sim.scenario.manifests.keda import without_tolerance
from sim.scenario.manifests.knative import PREFIX, annotated
from sim.scenario.manifests.reader import Fields
from sim.scenario.manifests.signals import meaning
from sim.scenario.manifests.translation import Context, Translation

_OWN = "serving.kserve.io/"
_RAW = ("RawDeployment", "Standard")
_MODES = ("Serverless", "Knative", *_RAW)
_CLASSES = ("hpa", "keda", "none")
_TARGETS = {"AverageValue": "average", "Value": "value"}


def translate(metadata: Fields, spec: Fields, context: Context) -> Translation:
    """The policy `hpa`, `keda` or `fixed` (standard mode) or `knative` for an InferenceService.

    Without an annotation for the mode, a `scaleMetric` of cpu, `autoScaling` and the classes that only the
    standard mode has mean that one.
    """
    predictor = spec.fields("predictor")
    annotations = metadata.fields("annotations")
    mode = annotations.text(_OWN + "deploymentMode", "", _MODES)
    made_by = annotations.text(_OWN + "autoscalerClass", "", _CLASSES)
    annotations.raw(_OWN + "enable-prometheus-scraping")
    metric = predictor.text("scaleMetric", "", ("cpu", "concurrency", "rps"))
    raw = mode in _RAW or (not mode and (metric == "cpu" or made_by != "" or "autoScaling" in predictor))
    bounds = predictor.whole("minReplicas", 1), predictor.whole("maxReplicas", 0)
    # These say what runs, not how many.
    predictor.ignore(
        "model", "containers", "serviceAccountName", "nodeSelector", "tolerations", "affinity", "volumes",
        "imagePullSecrets", "timeout", "labels", "runtimeClassName", "schedulerName", "priorityClassName",
    )  # fmt: skip
    if raw:
        annotations.close_under(PREFIX)
        return _standard(predictor, made_by or "hpa", metric, bounds, context)
    return _knative(annotations, predictor, made_by, metric, bounds)


def _knative(
    annotations: Fields, predictor: Fields, made_by: str, metric: str, bounds: tuple[int, int]
) -> Translation:
    target = predictor.number("scaleTarget", above=0.0)
    limit = predictor.whole("containerConcurrency", 0)
    predictor.close()
    policy: dict[str, Any] = {"policy": "knative"}
    if limit:
        policy["container_concurrency"] = limit
    made = annotated(annotations, policy)
    if metric == "cpu":
        predictor.wrong(("scaleMetric",), "cpu is not supported in Knative mode")
    elif metric:
        policy["metric"] = metric
    if made_by:
        annotations.wrong((_OWN + "autoscalerClass",), f"{made_by} is not supported in Knative mode")
    if target is not None:
        policy["target"] = target
    minimum, maximum = bounds
    return Translation(policy, minimum, maximum or made.maximum, max(minimum, made.initial or 0))


def _standard(
    predictor: Fields, made_by: str, metric: str, bounds: tuple[int, int], context: Context
) -> Translation:
    minimum, maximum = bounds
    predictor.ignore("containerConcurrency")
    if made_by == "none":
        predictor.ignore("scaleTarget", "scaleMetricType", "autoScaling")
        predictor.close()
        return Translation({"policy": "fixed"}, minimum, max(minimum, 1))
    if metric in ("concurrency", "rps"):
        predictor.wrong(("scaleMetric",), f"{metric} is not supported in standard mode: it is Knative's")
    policy: dict[str, Any] = {"policy": made_by}
    metrics: list[dict[str, Any]] = []
    given = predictor.fields("autoScaling")
    for item in given.items("metrics"):
        _metric(item, policy, metrics, made_by, context)
    hpa.behaviour(given, policy)
    if made_by == "keda":
        without_tolerance(given, policy)
    given.close()
    kind = predictor.text("scaleMetricType", "Utilization", ("Utilization", "AverageValue"))
    target = predictor.number("scaleTarget", above=0.0)
    if kind == "AverageValue" and target is not None and made_by == "hpa":
        metrics.append({"type": "pods", "signal": "utilisation", "average": target / context.cores})
    elif kind == "AverageValue":
        predictor.wrong(("scaleMetricType",), "AverageValue needs a scaleTarget, and the class hpa")
    elif target is not None or not (metrics or "utilisation" in policy):
        percent = 80.0 if target is None else target
        if percent > 100.0:
            predictor.wrong(("scaleTarget",), "use above 100 % is not simulated")
        policy["utilisation"] = f"{min(100.0, percent):g}%"
    predictor.close()
    if metrics:
        policy["triggers" if made_by == "keda" else "metrics"] = metrics
    return Translation(policy, minimum, max(maximum, minimum, 1))


def _metric(
    item: Fields, policy: dict[str, Any], metrics: list[dict[str, Any]], made_by: str, context: Context
) -> None:
    """One entry of `autoScaling.metrics`: cpu, or with KEDA what Prometheus or OpenTelemetry measure."""
    kinds = ("Resource", "External", "PodMetric") if made_by == "keda" else ("Resource",)
    kind = item.text("type", "", kinds)
    if kind == "Resource":
        source = item.fields("resource")
        if source.text("name", "cpu") != "cpu":
            source.wrong(("name",), "only use of cpu is simulated")
        made: list[dict[str, Any]] = []
        hpa.resource(source, policy, made, context)
        if made and made_by == "keda":
            source.wrong(("target",), "averageValue of cpu is not supported with KEDA")
        metrics.extend(made if made_by == "hpa" else [])
        source.close()
    elif kind:
        source = item.fields(kind[0].lower() + kind[1:])
        source.ignore("authenticationRef")
        metrics.extend(_trigger(source, context))
        source.close()
    item.close()


def _trigger(source: Fields, context: Context) -> list[dict[str, Any]]:
    measured = source.fields("metric")
    # The rest says where the metric comes from.
    found = meaning(measured, "query", measured.text("query"), context.signals)
    target = source.fields("target")
    chosen = target.text("type", "", tuple(_TARGETS))
    key = "averageValue" if chosen == "AverageValue" else "value"
    value = target.number(key, above=0.0) if chosen and target.require(key) else None
    target.close()
    if found is None or value is None:
        return []
    return [{"signal": found.signal, "threshold": value / found.factor, "type": _TARGETS[chosen]}]

"""KServe InferenceService, serving.kserve.io/v1beta1: the scaling of its predictor."""

from __future__ import annotations

from typing import Any

from sim.scenario.manifests.knative import PREFIX, annotated
from sim.scenario.manifests.reader import Fields
from sim.scenario.manifests.translation import Translation

_OWN = "serving.kserve.io/"
_RAW = ("RawDeployment", "Standard")
_MODES = ("Serverless", "Knative", *_RAW)


def translate(metadata: Fields, spec: Fields) -> Translation:
    """The policy `hpa` (standard mode) or `knative` for an InferenceService.

    Without an annotation for the mode, a `scaleMetric` of cpu means the standard one.
    """
    predictor = spec.fields("predictor")
    annotations = metadata.fields("annotations")
    mode = annotations.text(_OWN + "deploymentMode", "", _MODES)
    annotations.text(_OWN + "autoscalerClass", "hpa", ("hpa",))
    metric = predictor.text("scaleMetric", "", ("cpu", "concurrency", "rps"))
    raw = mode in _RAW or (not mode and metric == "cpu")
    minimum = predictor.whole("minReplicas", 1)
    maximum = predictor.whole("maxReplicas", 0)
    target = predictor.number("scaleTarget", above=0.0)
    limit = predictor.whole("containerConcurrency", 0)
    # These say what runs, not how many.
    predictor.ignore(
        "model", "containers", "serviceAccountName", "nodeSelector", "tolerations", "affinity", "volumes",
        "imagePullSecrets", "timeout", "labels", "runtimeClassName", "schedulerName", "priorityClassName",
    )  # fmt: skip
    predictor.close()
    if raw:
        return _standard(annotations, predictor, metric, target, minimum, maximum)
    policy: dict[str, Any] = {"policy": "knative"}
    if limit:
        policy["container_concurrency"] = limit
    made = annotated(annotations, policy)
    if metric == "cpu":
        predictor.wrong(("scaleMetric",), "cpu is not supported in Knative mode")
    elif metric:
        policy["metric"] = metric
    if target is not None:
        policy["target"] = target
    return Translation(policy, minimum, maximum or made.maximum, max(minimum, made.initial or 0))


def _standard(
    annotations: Fields, predictor: Fields, metric: str, target: float | None, minimum: int, maximum: int
) -> Translation:
    annotations.close_under(PREFIX)
    if metric in ("concurrency", "rps"):
        predictor.wrong(
            ("scaleMetric",), f"{metric} is not supported in standard mode, which has an HPA on cpu"
        )
    percent = 80.0 if target is None else target
    if percent > 100.0:
        predictor.wrong(("scaleTarget",), "use above 100 % is not simulated")
    policy = {"policy": "hpa", "utilisation": f"{min(100.0, percent):g}%"}
    return Translation(policy, minimum, max(maximum, minimum, 1))

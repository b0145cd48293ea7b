"""Manifests of real clusters: what they become, and what is refused by which name and line."""

import pytest

from sim.errors import ScenarioError
from sim.paas.autoscaling.hpa_behaviour import RatePolicy, Rules, default_up
from sim.paas.policies.autoscalers.fixed import Fixed
from sim.paas.policies.autoscalers.keda import Keda, Trigger
from sim.paas.policies.autoscalers.knative import Knative
from sim.paas.policies.autoscalers.kubernetes import Hpa, Metric
from sim.scenario.load import loads, resolved
from sim.scenario.manifests import read
from sim.scenario.manifests.translation import Context

SCENARIO = """
name: small
duration: 10min
infrastructure:
  sites:
    here: {kind: cloud, pools: {cpu: {instance: c5.xlarge, nodes: 4}}}
platform:
  services:
    web:
      site: here
      time: {policy: constant, value: 1s}
      replicas: {initial: 3, min: 1, max: 8}
      autoscaler: {manifest: given.yaml, metrics: {sidekiq_jobs: queue}}
applications:
  users:
    users: {here: 1}
    arrivals: {process: poisson, rate: 1/s}
    calls: {ask: {to: web}}
"""

HPA = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 10
  metrics:
  - type: Resource
    resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}
  - type: Pods
    pods: {metric: {name: vllm:num_requests_waiting}, target: {type: AverageValue, averageValue: 2500m}}
  - type: External
    external:
      metric: {name: sidekiq_jobs, selector: {matchLabels: {queue: a}}}
      target: {type: Value, value: "1k"}
  behavior:
    scaleDown:
      stabilizationWindowSeconds: 60
      selectPolicy: Min
      policies:
      - {type: Percent, value: 10, periodSeconds: 60}
"""

KNATIVE = """
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: web}
spec:
  template:
    metadata:
      annotations:
        autoscaling.knative.dev/metric: concurrency
        autoscaling.knative.dev/target: "20"
        autoscaling.knative.dev/target-utilization-percentage: "75"
        autoscaling.knative.dev/min-scale: "1"
        autoscaling.knative.dev/max-scale: "6"
        autoscaling.knative.dev/window: 1m30s
        autoscaling.knative.dev/panic-threshold-percentage: "150"
        prometheus.io/scrape: "true"
    spec:
      containerConcurrency: 30
      containers: [{image: web}]
"""

KEDA = """
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: web}
spec:
  scaleTargetRef: {name: web}
  pollingInterval: 10
  cooldownPeriod: 120
  minReplicaCount: 0
  maxReplicaCount: 7
  triggers:
  - type: rabbitmq
    metadata: {queueName: jobs, mode: QueueLength, value: "20", activationValue: "5"}
  - type: prometheus
    name: sidekiq_jobs
    metricType: Value
    metadata: {serverAddress: "http://p:9090", query: sum(jobs), threshold: "8"}
"""

KSERVE = """
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: llm}
spec:
  predictor:
    minReplicas: 0
    maxReplicas: 5
    scaleMetric: concurrency
    scaleTarget: 4
    model: {modelFormat: {name: huggingface}}
"""

KSERVE_KEDA = """
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: llm
  annotations:
    serving.kserve.io/deploymentMode: "Standard"
    serving.kserve.io/autoscalerClass: "keda"
spec:
  predictor:
    minReplicas: 1
    maxReplicas: 5
    model: {modelFormat: {name: huggingface}}
    autoScaling:
      metrics:
      - type: External
        external:
          metric: {backend: prometheus, serverAddress: "http://p:9090", query: "vllm:num_requests_running"}
          target: {type: AverageValue, averageValue: "2"}
      - type: Resource
        resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}
"""

JOBS = """
apiVersion: keda.sh/v1alpha1
kind: ScaledJob
metadata: {name: encode}
spec:
  jobTargetRef: {template: {spec: {containers: [{name: encode, image: encode}]}}}
  pollingInterval: 15
  maxReplicaCount: 40
  successfulJobsHistoryLimit: 5
  scalingStrategy:
    strategy: custom
    customScalingQueueLengthDeduction: 1
    customScalingRunningJobPercentage: "0.5"
  triggers:
  - type: rabbitmq
    metadata: {queueName: videos, mode: QueueLength, value: "2", activationValue: "3"}
"""

WITH_JOBS = SCENARIO.replace("{manifest: given.yaml, metrics: {sidekiq_jobs: queue}}", "fixed").replace(
    "applications:",
    """  jobs:
    videos:
      arrivals: {process: periodic, period: 1min}
      resources: {cpu: 1}
      duration: 5min
      scaled_job: {manifest: given.yaml}
applications:""",
)


def scenario(tmp_path, manifest, text=SCENARIO, *sets):
    (tmp_path / "given.yaml").write_text(manifest)
    return loads(text, sets, folder=tmp_path)


def service(tmp_path, manifest):
    return scenario(tmp_path, manifest).platform.services["web"]


def refused(tmp_path, manifest):
    with pytest.raises(ScenarioError) as caught:
        scenario(tmp_path, manifest)
    return [fault.message for fault in caught.value.faults]


def test_hpa(tmp_path):
    web = service(tmp_path, HPA)
    assert (web.replicas.initial, web.replicas.min, web.replicas.max) == (3, 2, 10)
    assert web.autoscaler == Hpa(
        utilisation=0.6,
        metrics=[Metric("pods", "queue", average=2.5), Metric("external", "queue", value=1000.0)],
        scale_up=default_up(),
        scale_down=Rules(60.0, [RatePolicy("percent", 10, 60.0)], "min"),
    )


def test_hpa_without_behaviour_or_metrics(tmp_path):
    plain = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nspec: {maxReplicas: 4}\n"
    web = service(tmp_path, plain)
    assert web.autoscaler == Hpa()
    assert (web.replicas.min, web.replicas.max) == (1, 4)


def test_an_empty_behaviour_has_the_defaults_of_the_api(tmp_path):
    plain = (
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nspec: {maxReplicas: 4, behavior: {}}\n"
    )
    assert service(tmp_path, plain).autoscaler.scale_up == default_up()


def test_cores_become_a_share_of_the_request(tmp_path):
    manifest = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
spec:
  maxReplicas: 4
  metrics: [{type: Resource, resource: {name: cpu, target: {type: AverageValue, averageValue: 1500m}}}]
"""
    made = translated(tmp_path, manifest, cores=2.0)
    assert made.policy["metrics"] == [{"type": "pods", "signal": "utilisation", "average": 0.75}]


def translated(folder, manifest, **context):
    path = folder / "m.yaml"
    path.write_text(manifest)
    made, wrong = read(path, Context(**context))
    assert wrong == []
    return made


def test_knative(tmp_path):
    web = service(tmp_path, KNATIVE)
    assert web.autoscaler == Knative(
        target=20.0,
        target_utilisation=0.75,
        container_concurrency=30,
        stable_window=90.0,
        panic_threshold=1.5,
    )
    assert (web.replicas.initial, web.replicas.min, web.replicas.max) == (3, 1, 6)


def test_knative_without_a_largest_scale_keeps_that_of_the_scenario(tmp_path):
    web = service(tmp_path, KNATIVE.replace('autoscaling.knative.dev/max-scale: "6"', "a: b"))
    assert web.replicas.max == 8


def test_keda(tmp_path):
    web = service(tmp_path, KEDA)
    triggers = [Trigger("queue", 20.0, 5.0), Trigger("queue", 8.0, 0.0, "value")]
    assert web.autoscaler == Keda(triggers, polling=10.0, cooldown=120.0)
    assert (web.replicas.min, web.replicas.max) == (0, 7)


def test_keda_on_cpu(tmp_path):
    cpu = """  - {type: cpu, metricType: Utilization, metadata: {value: "70"}}\n"""
    both = service(tmp_path, KEDA + cpu).autoscaler
    assert (both.utilisation, len(both.triggers)) == (0.7, 2)
    alone = KEDA[: KEDA.index("  - type: rabbitmq")] + cpu
    assert service(tmp_path, alone).autoscaler == Keda(utilisation=0.7, polling=10.0, cooldown=120.0)


@pytest.mark.parametrize(
    ("change", "policy"),
    [
        (("", ""), Knative(metric="concurrency", target=4.0)),
        (("scaleMetric: concurrency", "scaleMetric: rps"), Knative(metric="rps", target=4.0)),
        (
            ("scaleMetric: concurrency\n    scaleTarget: 4", "scaleMetric: cpu\n    scaleTarget: 70"),
            Hpa(utilisation=0.7),
        ),
        (
            (
                "metadata: {name: llm}\nspec:\n  predictor:\n    minReplicas: 0\n    maxReplicas: 5\n"
                "    scaleMetric: concurrency\n    scaleTarget: 4",
                "metadata: {annotations: {serving.kserve.io/deploymentMode: RawDeployment}}\n"
                "spec:\n  predictor:\n    maxReplicas: 5",
            ),
            Hpa(utilisation=0.8),
        ),
    ],
)
def test_kserve(tmp_path, change, policy):
    web = service(tmp_path, KSERVE.replace(*change))
    assert web.autoscaler == policy
    assert web.replicas.max == 5


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (
            HPA.replace("minReplicas", "minimumReplicas"),
            "given.yaml:7:3: spec.minimumReplicas: is not supported",
        ),
        (
            HPA.replace("name: cpu", "name: memory"),
            "given.yaml:11:22: spec.metrics.0.resource.name: use of 'memory'",
        ),
        (HPA.replace("sidekiq_jobs", "other"), "metrics.2.external.metric.name: no signal is called 'other'"),
        (
            HPA.replace("60, ", "").replace("averageUtilization: 60", "averageUtilization: 160"),
            "use above 100 %",
        ),
        (HPA.replace("Min\n", "Least\n"), "selectPolicy: 'Least' is not supported"),
        (HPA.replace("periodSeconds", "seconds"), "policies.0.seconds: is not supported"),
        (HPA.replace("autoscaling/v2", "autoscaling/v1"), "'autoscaling/v1' is not supported"),
        (HPA.replace("  maxReplicas: 10\n", ""), "maxReplicas is missing"),
        (HPA.replace("2500m", "2500mm"), "'2500mm' is not a quantity"),
        (HPA.replace("HorizontalPodAutoscaler", "Deployment"), "'Deployment' is not supported"),
        (HPA.replace("minReplicas: 2", "minReplicas: 2\n  minReplicas: 3"), "given.yaml:8"),
        (HPA + "---\nkind: Service\n", "a second document"),
        (HPA.replace("minReplicas: 2", "minReplicas: !!python/name:os.system"), "given.yaml:7:16"),
        (KNATIVE.replace("/window", "/windows"), "given.yaml:14:9"),
        (KNATIVE.replace("1m30s", "90"), "expected a duration"),
        (
            KEDA.replace("  triggers", "  fallback: {failureThreshold: 3, replicas: 6}\n  triggers"),
            "fallback: is not supported",
        ),
        (KEDA.replace("rabbitmq", "cron"), "'cron' is not supported"),
        (KEDA.replace('value: "20", ', ""), "value is missing"),
        (KEDA.replace("name: sidekiq_jobs", "name: x"), "no signal is called"),
        (
            KSERVE.replace("    model", "    autoScaling: {}\n    model"),
            "scaleMetric: concurrency is not supported in standard mode",
        ),
        (
            KSERVE.replace("{name: llm}", "{annotations: {serving.kserve.io/autoscalerClass: external}}"),
            "'external' is not supported",
        ),
        (KSERVE_KEDA.replace("averageValue", "value"), "averageValue is missing"),
        (KSERVE_KEDA.replace("vllm:num_requests_running", "sum(x)"), "no signal is called 'sum(x)'"),
        (KSERVE_KEDA.replace('"keda"', '"hpa"'), "'External' is not supported"),
    ],
)
def test_what_is_refused(tmp_path, manifest, message):
    found = refused(tmp_path, manifest)
    assert any(message in each for each in found), found


def test_all_faults_at_once_at_the_line_of_the_scenario(tmp_path):
    (tmp_path / "given.yaml").write_text(HPA.replace("minReplicas", "least").replace("2500m", "x"))
    with pytest.raises(ScenarioError) as caught:
        loads(SCENARIO.replace("value: 1s", "value: 1"), folder=tmp_path)
    faults = caught.value.faults
    assert sorted({fault.line for fault in faults}) == [11, 13]
    assert len(faults) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{manifest: none.yaml}", "no such file"),
        ("{manifest: 3}", "expected the path of a file"),
        ("{manifest: given.yaml, metric: {a: queue}}", "unknown key (did you mean"),
        ("{manifest: given.yaml, metrics: {a: queues}}", "no signal is called 'queues'"),
    ],
)
def test_a_wrong_reference_to_a_manifest(tmp_path, text, message):
    (tmp_path / "given.yaml").write_text(KNATIVE)
    with pytest.raises(ScenarioError) as caught:
        loads(
            SCENARIO.replace("{manifest: given.yaml, metrics: {sidekiq_jobs: queue}}", text), folder=tmp_path
        )
    assert any(message in fault.message for fault in caught.value.faults), caught.value.faults


def test_manifests_in_the_arms_of_a_study_and_on_the_command_line(tmp_path):
    (tmp_path / "hpa.yaml").write_text(HPA)
    arms = """
study:
  arms:
    knative: {platform.services.web.autoscaler: {manifest: given.yaml}}
    hpa:
      platform.services.web.replicas: 1
      platform.services.web.autoscaler: {manifest: hpa.yaml, metrics: {sidekiq_jobs: queue}}
"""
    made = scenario(
        tmp_path, KNATIVE, SCENARIO + arms, "platform.services.web.autoscaler={manifest: given.yaml}"
    )
    assert made.platform.services["web"].autoscaler.policy == "knative"
    assert made.study.arms["hpa"]["platform.services.web.replicas"] == {"initial": 2, "min": 2, "max": 10}
    assert made.study.arms["knative"]["platform.services.web.autoscaler"]["policy"] == "knative"
    # The resolved scenario needs no manifest any more.
    again = loads(resolved(made))
    assert again.platform == made.platform


def test_manifests_in_the_cases_of_a_study(tmp_path):
    cases = """
study:
  cases:
    scaler:
      calm: {applications.users.arrivals.rate: 0.1/s}
      keda: {platform.services.web.autoscaler: {manifest: given.yaml, metrics: {sidekiq_jobs: queue}}}
"""
    plain = SCENARIO.replace("{manifest: given.yaml, metrics: {sidekiq_jobs: queue}}", "hpa")
    settings = scenario(tmp_path, KEDA, plain + cases).study.cases["scaler"]
    assert settings["keda"]["platform.services.web.replicas"] == {"initial": 3, "min": 0, "max": 7}
    assert settings["calm"] == {"applications.users.arrivals.rate": "0.1/s"}


def test_kserve_with_keda(tmp_path):
    web = service(tmp_path, KSERVE_KEDA)
    assert (web.replicas.min, web.replicas.max) == (1, 5)
    assert web.autoscaler == Keda([Trigger("running", 2.0)], utilisation=0.5)


def test_kserve_in_standard_mode_with_a_value_behaviour_and_without_autoscaler(tmp_path):
    class_ = KSERVE_KEDA.replace('"keda"', '"hpa"')
    head = class_[: class_.index("    autoScaling")]
    by_value = head + "    scaleMetric: cpu\n    scaleMetricType: AverageValue\n    scaleTarget: 2\n"
    assert service(tmp_path, by_value).autoscaler == Hpa(metrics=[Metric("pods", "utilisation", average=2.0)])
    behaving = head + "    autoScaling: {behavior: {scaleDown: {stabilizationWindowSeconds: 60}}}\n"
    made = service(tmp_path, behaving).autoscaler
    assert (made.utilisation, made.scale_down.window) == (0.8, 60.0)
    still = service(tmp_path, head.replace('"hpa"', '"none"').replace("minReplicas: 1", "minReplicas: 2"))
    assert still.autoscaler == Fixed()
    assert (still.replicas.initial, still.replicas.max) == (2, 2)


def test_scaled_job(tmp_path):
    made = scenario(tmp_path, JOBS, WITH_JOBS).platform.jobs["videos"].scaled_job
    assert (made.strategy, made.max, made.polling, made.target) == ("custom", 40, 15.0, 2.0)
    assert (made.deduction, made.running_share, made.activation) == (1, 0.5, 3.0)
    plain = JOBS[: JOBS.index("  scalingStrategy")] + JOBS[JOBS.index("  triggers") :]
    assert scenario(tmp_path, plain, WITH_JOBS).platform.jobs["videos"].scaled_job.strategy == "default"
    arms = "study: {arms: {eager: {platform.jobs.videos.scaled_job: {manifest: given.yaml}}}}\n"
    eager = JOBS.replace("strategy: custom", "strategy: eager")
    settings = scenario(tmp_path, eager, WITH_JOBS + arms).study.arms["eager"]
    assert settings["platform.jobs.videos.scaled_job"]["strategy"] == "eager"


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (JOBS.replace("maxReplicaCount", "maxReplicas"), "given.yaml:8:3: spec.maxReplicas"),
        (JOBS.replace("custom\n", "greedy\n"), "strategy: 'greedy' is not supported"),
        (JOBS.replace("rabbitmq", "rabbit"), 'did you mean "rabbitmq"'),
        (JOBS.replace('value: "2", ', ""), "value is missing"),
        (JOBS.replace("  pollingInterval", "  minReplicaCount: 2\n  pollingInterval"), "without an item"),
        (JOBS.replace('"0.5"', '"50"'), "is a share"),
        (JOBS + "  - type: kafka\n    metadata: {lagThreshold: '5'}\n", "a second trigger is not supported"),
        (KEDA, "'ScaledObject' is not supported"),
        (JOBS.replace("  triggers:", "  trigger:"), "triggers is missing"),
    ],
)
def test_what_is_refused_of_a_scaled_job(tmp_path, manifest, message):
    with pytest.raises(ScenarioError) as caught:
        scenario(tmp_path, manifest, WITH_JOBS)
    found = [fault.message for fault in caught.value.faults]
    assert any(message in each for each in found), found

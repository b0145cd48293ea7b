"""The scorers of Kubernetes under their upstream names, exact to the whole number."""

from sim.paas.policies.scores.kubernetes.preferences import (
    InterPodAffinity,
    KubernetesImageLocality,
    NodeAffinity,
    PodTopologySpread,
    TaintToleration,
)
from sim.paas.policies.scores.kubernetes.resources import NodeResourcesBalancedAllocation, NodeResourcesFit

#: The default profile of v1.30: scorers and their weights.
PROFILE = {
    "TaintToleration": 3,
    "NodeAffinity": 2,
    "PodTopologySpread": 2,
    "InterPodAffinity": 2,
    "NodeResourcesFit": 1,
    "NodeResourcesBalancedAllocation": 1,
    "ImageLocality": 1,
}

__all__ = [
    "PROFILE",
    "InterPodAffinity",
    "KubernetesImageLocality",
    "NodeAffinity",
    "NodeResourcesBalancedAllocation",
    "NodeResourcesFit",
    "PodTopologySpread",
    "TaintToleration",
]

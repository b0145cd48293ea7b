"""Policies of the application layer: arrival processes and offload policies."""

from __future__ import annotations

from sim.saas.policies import arrivals, offload, recorded, varying

__all__ = ["arrivals", "offload", "recorded", "varying"]

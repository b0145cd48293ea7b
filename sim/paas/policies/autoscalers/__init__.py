"""Autoscalers, one family a file: how many replicas a service should have, from what was observed of it."""

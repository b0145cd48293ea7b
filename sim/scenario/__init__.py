"""Scenario files: from YAML text to a frozen description in SI units, and on to a platform."""

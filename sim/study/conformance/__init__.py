"""Whether a policy keeps the rules that make results meaningful: what `stratus check` runs.

A policy of anybody is tried in a small platform of its kind: does it run, does it give the same run
again, does it leave alone what it is only shown, does it draw from nothing but the streams it was
handed? Authors run it in their own tests; the policies of Stratus pass it in those of Stratus.
"""

from sim.study.conformance.examine import Finding, examine, policies_of
from sim.study.conformance.trials import TRIALS

__all__ = ["TRIALS", "Finding", "examine", "policies_of"]

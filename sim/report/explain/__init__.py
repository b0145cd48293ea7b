"""Why jobs waited and went where they went, from the stored tables of a run."""

from sim.report.explain.job import explain_job
from sim.report.explain.node import explain_moment, explain_node
from sim.report.explain.records import Records
from sim.report.explain.sentences import tell

__all__ = ["Records", "explain_job", "explain_moment", "explain_node", "tell"]

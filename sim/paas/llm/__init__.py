"""Language-model engines: iteration-level scheduling over a paged key-value cache, without a simulator.

from sim.paas.llm import ChunkedPrefill, Engine, LinearSteps, Sequence, simulate

engine = Engine(ChunkedPrefill(), LinearSteps(base=5e-3, per_prompt_token=15e-6), blocks=20_000)
done = simulate(engine, [Sequence(0, arrival=0.0, prompt=512, output=128)])
done[0].first, done[0].finish
"""

from sim.paas.llm.adapters import Adapters
from sim.paas.llm.admission import ChunkedPrefill, PrefillFirst, Sarathi, SarathiServe
from sim.paas.llm.batch import Batch, Sequence
from sim.paas.llm.engine import Engine, simulate
from sim.paas.llm.gaps import Gaps, Log
from sim.paas.llm.prefix import Content, Host, PrefixCache
from sim.paas.llm.profiles import read_profile
from sim.paas.llm.roofline import RooflineSteps
from sim.paas.llm.speculation import Speculation
from sim.paas.llm.stepwise import StepwiseEngine
from sim.paas.llm.times import DetailedSteps, FunctionSteps, LinearSteps, PartOfSteps, StepTimes, TableSteps
from sim.paas.llm.waiting import ByPriority, FirstCome, ShortestOutput, ShortestPrompt

__all__ = [
    "Adapters",
    "Batch",
    "ByPriority",
    "ChunkedPrefill",
    "Content",
    "DetailedSteps",
    "Engine",
    "FirstCome",
    "FunctionSteps",
    "Gaps",
    "Host",
    "LinearSteps",
    "Log",
    "PartOfSteps",
    "PrefillFirst",
    "PrefixCache",
    "RooflineSteps",
    "Sarathi",
    "SarathiServe",
    "Sequence",
    "ShortestOutput",
    "ShortestPrompt",
    "Speculation",
    "StepTimes",
    "StepwiseEngine",
    "TableSteps",
    "read_profile",
    "simulate",
]

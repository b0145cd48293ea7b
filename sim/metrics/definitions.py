"""What every metric means: the texts of the reference, of the report and of `stratus list`.

A metric is a line `name | dimension | direction that is better | label`, below it the meaning and,
where others defined it, `source: ...`. The dimension says how a value is shown; "count" is a plain number.
"""

from __future__ import annotations

#: Definitions by the part of the platform they are of.
DEFINITIONS: dict[str, str] = {
    "apps.<app>": """
arrived | count | - | requests
    requests made in the window
completed | count | high | completed
    of those, requests answered by the end of the run
rejected | count | low | rejected
    of those, requests turned away by a full queue or by policy
timeout | count | low | timed out
    of those, requests that waited longer than allowed
failed | count | low | failed
    of those, requests lost to a failure
in_flight | count | - | in flight
    of those, requests still on their way when the run ended
dropped | fraction | low | dropped
    share of the requests rejected, timed out or failed
throughput | rate | high | throughput
    replies received per second of the window
goodput | rate | high | goodput
    replies per second of the window that came within all of the SLO's bounds; an answer of one token meets
    any bound on TPOT
    source: DistServe (OSDI 2024); vLLM's benchmark
attempts | count | low | attempts
    attempts per request, of applications whose clients retry or hedge; else undefined
latency.mean | duration | low | mean latency
    mean time from request to reply, of the completed
latency.p50 | duration | low | median latency
    time within which half of the completed were answered
latency.p90 | duration | low | p90 latency
    time within which 90 % of the completed were answered
latency.p95 | duration | low | p95 latency
    time within which 95 % of the completed were answered
latency.p99 | duration | low | p99 latency
    time within which 99 % of the completed were answered
latency.max | duration | low | longest latency
    longest time from request to reply, of the completed
slo_met | fraction | high | within the SLO
    share of the requests answered within all of the SLO's bounds (latency, TTFT, TPOT); dropped ones count
    as missed, those still in flight only once they are late
slo_violated | fraction | low | SLO violations
    share of the requests not answered within the SLO's bounds, dropped ones among them; those still in
    flight count once they are late
slo_time | fraction | high | time within the SLO
    share of the minutes with requests in which the SLO's share of them was answered within its bounds
network.mean | duration | low | time in the network
    mean part of the latency spent in transfers, of the completed
queue.mean | duration | low | time in queues
    mean part of the latency spent waiting for a server, of the completed
compute.mean | duration | low | time in service
    mean part of the latency spent being served, of the completed
placed.<site> | fraction | - | placed
    share of the requests whose first call was answered at the site
""",
    "apps.<chat>": """
goodput_per_accelerator | rate | high | goodput per accelerator
    replies within the SLO per second and powered accelerator of all pools
    source: DistServe (OSDI 2024): per-GPU goodput
ttft.mean | duration | low | mean TTFT
    mean time from request to first token, of the completed; the way back to the user counts as for the reply
    source: vLLM's benchmark (time to first token)
ttft.p50 | duration | low | median TTFT
    TTFT that half of them did not exceed
ttft.p90 | duration | low | p90 TTFT
    TTFT that 90 % of them did not exceed
ttft.p99 | duration | low | p99 TTFT
    TTFT that 99 % of them did not exceed
tpot.mean | duration | low | mean TPOT
    mean time per further token, (last - first) / (tokens - 1), of the completed; answers of one token
    are left out
    source: vLLM's benchmark (time per output token)
tpot.p50 | duration | low | median TPOT
    TPOT that half of them did not exceed
tpot.p90 | duration | low | p90 TPOT
    TPOT that 90 % of them did not exceed
tpot.p99 | duration | low | p99 TPOT
    TPOT that 99 % of them did not exceed
""",
    "services.<service>": """
utilisation | fraction | - | utilisation
    busy servers over ready servers, over time; an engine of language models is busy while any iteration runs,
    as its GPU's utilisation reads (nvidia-smi, DCGM): for its load see batch_use and kv_use
replicas | count | low | ready replicas
    replicas ready, mean over time
replica_hours | count | low | replica hours
    hours of ready replicas
wait.mean | duration | low | mean wait
    mean time from a call's arrival to its start, of the calls served
wait.p99 | duration | low | p99 wait
    time within which 99 % of the calls served were started
in_system | count | low | calls inside
    calls waiting or in service, mean over time
batch | count | - | batch size
    mean calls per batch served
cold_starts | count | low | cold starts
    replicas that became ready in the window
lead_time | duration | low | lead time
    mean time from asking for a replica to its being ready, of the cold starts
scalings | count | low | scalings
    changes of the number of replicas asked for
forecast.mape | fraction | low | forecast error
    mean |rate - forecast| / rate of the bins foreseen (MAPE); bins in which nothing came are left out
forecast.pinball | - | low | pinball loss
    mean loss of the quantile foreseen, calls/s: level x shortfall, or (1 - level) x excess
    source: Koenker and Bassett, Econometrica 46, 1978
forecast.coverage | fraction | - | forecast coverage
    share of the bins foreseen whose rate was at most the quantile foreseen; right where it is that quantile
forecast.band | fraction | - | rate in the band
    share of the bins foreseen whose rate lay in the forecast's band
held_hours | count | low | replica hours held
    hours in which replicas held their place on a node, starting, ready or draining
accelerator_hours | count | low | accelerator hours held
    those hours times the accelerators of a replica
cold_calls | fraction | low | cold calls
    share of the calls served that came before the replica which served them was ready
reversals | count | low | reversals
    scalings in the other direction than the one before
elasticity.demand | count | - | replicas needed
    least replicas that would meet the SLO at the present rate, mean over time: Erlang's wait formula with the
    service times measured (Allen-Cunneen); where calls are batched or have no SLO, rate over capacity
elasticity.under | fraction | low | under-provisioning
    replicas missing over replicas needed, mean over time (accuracy theta_U)
    source: Herbst et al., Ready for Rain?, SPEC-RG-2016-01
elasticity.over | fraction | low | over-provisioning
    replicas too many over replicas needed, mean over time (accuracy theta_O)
    source: Herbst et al., Ready for Rain?, SPEC-RG-2016-01
elasticity.under_time | fraction | low | time with too few
    share of the time with fewer replicas ready than needed (timeshare tau_U)
    source: Herbst et al., Ready for Rain?, SPEC-RG-2016-01
elasticity.over_time | fraction | low | time with too many
    share of the time with more replicas ready than needed (timeshare tau_O)
    source: Herbst et al., Ready for Rain?, SPEC-RG-2016-01
elasticity.instability | fraction | low | instability
    share of the steps from minute to minute over which replicas ready and replicas needed do not move in the
    same direction
    source: Herbst et al., Ready for Rain?, SPEC-RG-2016-01
elasticity.jitter | count | - | jitter
    moves of the replicas ready (sum of changes) less those of the replicas needed, per minute; above 0 more
    adaptations than the demand asks for
    source: Herbst et al., BUNGEE, SEAMS 2015
elasticity.deviation | count | low | elastic deviation
    Euclidean distance from 0 of the two accuracies, the two timeshares and the instability
    source: Bauer et al., Chameleon, IEEE TPDS 30(4), 2019
unstable | count | low | overloaded
    1 when the backlog grew as no station that keeps up would let it, else 0
""",
    "services.<engine>": """
ttft.mean | duration | low | mean TTFT
    mean time from the call's arrival to its first token, of the calls completed
    source: vLLM's benchmark (time to first token)
ttft.p50 | duration | low | median TTFT
    TTFT that half of them did not exceed
ttft.p90 | duration | low | p90 TTFT
    TTFT that 90 % of them did not exceed
ttft.p99 | duration | low | p99 TTFT
    TTFT that 99 % of them did not exceed
tpot.mean | duration | low | mean TPOT
    mean time per further token, (last - first) / (tokens - 1), of the calls completed; answers of one
    token are left out
    source: vLLM's benchmark (time per output token)
tpot.p50 | duration | low | median TPOT
    TPOT that half of them did not exceed
tpot.p90 | duration | low | p90 TPOT
    TPOT that 90 % of them did not exceed
tpot.p99 | duration | low | p99 TPOT
    TPOT that 99 % of them did not exceed
e2e.mean | duration | low | mean E2E
    mean time from the call's arrival to its last token, of the calls completed
    source: vLLM's benchmark (end-to-end latency)
e2e.p50 | duration | low | median E2E
    E2E that half of them did not exceed
e2e.p90 | duration | low | p90 E2E
    E2E that 90 % of them did not exceed
e2e.p99 | duration | low | p99 E2E
    E2E that 99 % of them did not exceed
ntpot.mean | duration | low | mean NTPOT
    mean E2E over tokens generated, of the calls completed
    source: inference-perf (normalised time per output token)
itl.mean | duration | low | mean ITL
    mean gap between two tokens of a sequence, all gaps of all sequences alike; of stretches of iterations
    that began in the window
    source: vLLM's benchmark (inter-token latency)
itl.p50 | duration | low | median ITL
    gap that half of the gaps did not exceed
itl.p99 | duration | low | p99 ITL
    gap that 99 % of the gaps did not exceed
itl.max | duration | low | longest ITL
    longest gap
preemptions | count | low | preemptions
    times that the calls completed lost their place and cache
tokens_in | rate | high | prompt tokens
    prompt tokens processed per second of the window, those processed again included
tokens_out | rate | high | tokens generated
    tokens generated per second of the window
kv_blocks | count | - | cache in use
    mean blocks of the key-value cache in use while the engines run
hit_rate | fraction | high | prefix hits
    share of the prompt tokens that the prefix cache held when their call first got a place, of the calls
    completed; 0 without `prefix_cache`
    source: vLLM (prefix cache hit rate)
host_hit_rate | fraction | - | host hits
    share of the prompt tokens that came from the host's memory, a part of the above
tokens_saved | rate | high | tokens saved
    prompt tokens not computed for that, per second of the window
evictions | rate | low | evictions
    blocks that the prefix cache gave up per second of the window
kv_use | fraction | - | cache use
    those blocks over all blocks of the ready replicas, over time
adapter_loads | rate | low | adapter loads
    low-rank adapters brought into slots, per second of the window; engines with `adapters`
adapter_loading | fraction | low | adapter loading
    share of the ready replicas' time in which they brought adapters in
batch_use | fraction | - | batch use
    sequences that generate over the places (max_sequences) of the ready replicas, over time
handover.mean | duration | low | mean handover
    of services that only process prompts: mean time from the first token until the cache has reached the
    service that generates
handover.p99 | duration | low | p99 handover
    time within which 99 % of the caches had
transfer.mean | duration | low | mean transfer
    part of the mean handover on the network; the rest waits for room on the other side
moved | bytes | - | caches moved
    bytes of caches sent to the service that generates
mfu | fraction | high | MFU
    model FLOP utilisation: 2 x active parameters x tokens processed over the peak of the ready replicas
    source: PaLM (Chowdhery et al., 2022); attention is left out
""",
    "services.<host>": """
hit_rate | fraction | high | model hit rate
    share of the calls whose model was in memory when they came to their replica
swaps | count | low | model loads
    loads of a model's weights that began in the window and ended
swap_seconds | duration | low | time of loads
    sum of the times they took
""",
    "pools.<pool>": """
utilisation | fraction | high | utilisation
    main resource (accelerators, else cores) in use over that powered, over time
allocated | fraction | high | allocated
    main resource reserved over that powered, over time
node_hours | count | low | node hours
    hours of powered and billed nodes
accelerator_hours | count | low | accelerator hours
    hours of powered and billed accelerators, in use or not
cost | money | low | cost
    node hours times price
energy | energy | low | energy
    power of the nodes over time, times the site's PUE
carbon | carbon | low | carbon
    that energy times the grid's intensity hour by hour
""",
    "links.<link>": """
bytes | bytes | low | traffic
    bytes sent, both directions
utilisation | fraction | - | utilisation
    mean rate over bandwidth, of the busier direction
cost | money | low | traffic cost
    bytes times the price of the link
energy | energy | low | traffic energy
    bytes times the energy per byte of the link
carbon | carbon | low | traffic carbon
    that energy times the mean intensity of the grids at its ends
""",
    "jobs": """
submitted | count | - | jobs
    jobs submitted in the window; all other counts, times and shares are of these
completed | count | high | completed jobs
    of those, jobs done by the end of the run
jct.mean | duration | low | mean completion time
    mean time from submission to the end of the work, of the completed
jct.p50 | duration | low | median completion time
    time within which half of the completed were done
jct.p90 | duration | low | p90 completion time
    time within which 90 % of the completed were done
jct.p99 | duration | low | p99 completion time
    time within which 99 % of the completed were done
wait.mean | duration | low | mean wait
    mean time from submission to first running, of the jobs that ran
wait.p99 | duration | low | p99 wait
    time within which 99 % of the jobs that ran were started
delay.mean | duration | low | mean queueing delay
    mean completion time less the time a job held places, of the completed: the first wait and all pauses
delay.p99 | duration | low | p99 queueing delay
    queueing delay that 99 % of the completed did not exceed
slowdown.mean | count | low | mean slowdown
    mean of completion time over the running time as asked for, of the completed; both at least 10 s, so that
    jobs of seconds do not decide it
    source: bounded slowdown, Feitelson et al., JSSPP 1997
slowdown.p99 | count | low | p99 slowdown
    slowdown that 99 % of the completed did not exceed
    source: bounded slowdown, Feitelson et al., JSSPP 1997
makespan | duration | low | makespan
    from the first submission to the end of the last job; undefined while one is unfinished
utilisation | fraction | high | cluster allocated
    main resource reserved over that powered, in the pools where jobs ran
stranded | fraction | low | idle while jobs wait
    part of the powered main resource, in the pools where jobs ran, that was free while workers stood in the
    queue: too scattered, or kept for others
fragmentation | fraction | low | fragmented
    part of the idle accelerators that is of no use to the usual work: too small a share, or on a node that
    lacks what else it needs; over time and idle accelerators; only with record.fragmentation
    source: FGD (Weng et al., USENIX ATC 2023), section 3
useful | fraction | high | useful work
    work of the completed over the time their places were held, both times the accelerators asked for or held:
    what lost work, restarts, slower devices and spread gangs leave
fairness | fraction | high | fairness between tenants
    Jain's index of the tenants' mean speed (work over completion time); 100 % when all are slowed
    alike, undefined for one tenant
    source: Jain, Chiu and Hawe, DEC-TR-301, 1984
fairness_jobs | fraction | high | fairness between jobs
    Jain's index of the jobs' speed (work over completion time), of the completed
    source: Jain, Chiu and Hawe, DEC-TR-301, 1984
finish_time_fairness.mean | count | low | mean finish-time fairness
    mean of rho, of the completed: completion time over that on a share 1/n of the cluster of its own, n
    being the mean number of unfinished jobs during its stay; rho = JCT / (work x max(1, n x accelerators
    asked for / accelerators of the pools where jobs ran)); above 1 a job does worse than alone
    source: Themis (Mahajan et al., NSDI 2020); the static share as in Shockwave (Zheng et al., NSDI 2023)
finish_time_fairness.max | count | low | worst finish-time fairness
    largest rho of the completed
    source: Themis (Mahajan et al., NSDI 2020)
unfair | fraction | low | treated unfairly
    share of the completed with a rho above 1.05
    source: Shockwave (Zheng et al., NSDI 2023)
preemptions | count | low | preemptions
    times that jobs lost their places, to others or with a node
lost | count | low | lost accelerator hours
    work done and lost again, times the accelerators asked for
missed | fraction | low | missed deadlines
    of the jobs with a deadline that were done, or whose deadline had passed when the run ended: share done
    late or not at all
""",
    "queues.<queue>": """
submitted | count | - | jobs
    jobs of the tenant submitted in the window
completed | count | high | completed jobs
    of those, jobs done by the end of the run
jct.mean | duration | low | mean completion time
    mean time from submission to the end of the work, of the completed
wait.mean | duration | low | mean wait
    mean time from submission to first running, of the jobs that ran
wait.p99 | duration | low | p99 wait
    time within which 99 % of the jobs that ran were started
used | count | - | accelerators held
    mean number of accelerators that its jobs held
borrowed | count | - | accelerators borrowed
    mean number of those beyond the queue's own quota
of_nominal | fraction | - | of its quota
    mean number of accelerators held over the queue's own quota
""",
    "total": """
cost | money | low | cost
    nodes and traffic
cost_per_1000 | money | low | cost per 1,000 requests
    total cost over thousands of completed requests
cost_per_million_tokens | money | low | cost per million tokens
    total cost over millions of tokens generated
cost_per_million_tokens_in | money | low | cost per million prompt tokens
    total cost over millions of prompt tokens, as if answers were free
cost_per_million_tokens_all | money | low | cost per million tokens in and out
    total cost over millions of prompt tokens and tokens generated together
energy_per_token | energy | low | energy per token
    total energy over tokens generated
tokens_out | count | high | tokens generated
    tokens that language models generated
tokens_in | count | high | prompt tokens
    tokens of the prompts whose first token of the answer came in the window; each counts once, also if it
    was processed again or found in a cache
energy | energy | low | energy
    nodes with PUE, and traffic
energy_per_1000 | energy | low | energy per 1,000 requests
    total energy over thousands of completed requests
carbon | carbon | low | carbon
    of that energy
carbon_per_1000 | carbon | low | carbon per 1,000 requests
    total carbon over thousands of completed requests
accelerator_hours | count | low | accelerator hours
    hours of powered and billed accelerators
wan_bytes | bytes | low | WAN traffic
    bytes on links with an end in a cloud
completed | count | high | completed requests
    requests of the window answered, all applications
dropped | count | low | dropped requests
    requests of the window rejected, timed out or failed
slo_violations | count | low | SLO violations
    requests of the window dropped or answered late, of the applications with an SLO
""",
}

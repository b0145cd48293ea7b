"""A request: what one user asks of an application, from its making to its reply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sim.tables import IN_FLIGHT

if TYPE_CHECKING:
    from collections.abc import Hashable

    from sim.paas.llm.prefix import Content
    from sim.saas.draws import Draws


class Request:
    """One request on its way through the calls of its application.

    Everything random about it was drawn when its block of arrivals was, so it does not depend on what
    any policy decides. Offload policies read `origin`, `at`, `payload`, `reply`, `work` and the tokens.

    Attributes:
        id: number of the request in the run.
        origin: site of the user.
        site: site of the service its first call went to, "" before that.
        at: site where its data is now.
        arrival: moment the user made it (s).
        payload: bytes to be sent with the call that is being placed.
        send: bytes the user sends.
        reply: bytes of the reply.
        work: factor on the service times of its calls.
        tokens_in: prompt tokens, 0 where there are none.
        tokens_out: tokens to generate, likewise.
        sent: bytes sent towards services so far.
        received: bytes sent back to the user so far.
        network: seconds spent in transfers so far, summed over its calls.
        queue: seconds spent waiting in services so far, likewise.
        compute: seconds spent in service so far, likewise.
        status: one of the outcomes in `sim.tables`.
        reason: why it did not complete.
        draws: block it was drawn in.
        row: its place there.
        stage: which of its calls it is at, if they form a chain.
        fork: state of its calls if they do not.
        owner: the user's request that this is an attempt of; None: it is one itself.
        tries: state of its attempts, or what is known of this attempt.
    """

    __slots__ = (
        "arrival",
        "at",
        "compute",
        "draws",
        "fork",
        "id",
        "network",
        "origin",
        "owner",
        "payload",
        "queue",
        "reason",
        "received",
        "reply",
        "row",
        "send",
        "sent",
        "site",
        "stage",
        "status",
        "tokens_in",
        "tokens_out",
        "tries",
        "work",
    )

    def __init__(self, number: int, draws: Draws, row: int) -> None:
        self.id = number
        self.draws = draws
        self.row = row
        self.arrival = draws.times[row]
        self.origin = self.at = draws.origins[row]
        self.send = self.payload = draws.send[row]
        self.reply = draws.reply[row]
        self.work = draws.work[row]
        self.tokens_in = draws.tokens_in[row]
        self.tokens_out = draws.tokens_out[row]
        self.site = ""
        self.sent = 0.0
        self.received = 0.0
        self.network = 0.0
        self.queue = 0.0
        self.compute = 0.0
        self.status = IN_FLIGHT
        self.reason = ""
        self.stage = 0
        self.fork: Any = None
        self.owner: Any = None
        self.tries: Any = None

    @property
    def session(self) -> Hashable | None:
        """The session it belongs to, None for none."""
        sessions = self.draws.sessions
        return None if sessions is None else sessions[self.row]

    @property
    def content(self) -> Content | None:
        """What its prompt is made of, None where it has nothing in common with others."""
        contents = self.draws.contents
        return None if contents is None else contents[self.row]

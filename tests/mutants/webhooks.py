"""Deliberate mistakes in the webhook sink: in whom it talks to, what it sends, and how it takes an answer."""

from __future__ import annotations

from tests.mutants.table import Mutant

__all__ = ["WEBHOOK_MUTANTS"]

HTTP = "http/"
WEBHOOK = "sinks/webhook/"
REQUESTS = "tests/sinks/test_webhook_requests.py"
NETWORKS = "tests/sinks/test_webhook_networks.py"
AUTH = "tests/sinks/test_webhook_auth.py"
PAUSES = "tests/runtime/test_pauses.py"

SSRF = "no address is connected to that is not allowed"
WIRE = "a reply is the reply to its own request"
ONLY_THE_BAD = "a refused message takes no other with it"
SECRET = "no secret is shown"
STANDS = "a pause that a sink needs holds until an operator lifts it"
FAIR = "a sink that waits holds up no other"

WEBHOOK_MUTANTS = (
    Mutant(
        "an IPv4 address inside an IPv6 address is not looked at",
        SSRF,
        HTTP + "networks.py",
        "    if address.ipv4_mapped is not None:\n        return address.ipv4_mapped\n",
        "",
        NETWORKS,
    ),
    Mutant(
        "what is nobody's is private",
        SSRF,
        HTTP + "networks.py",
        "        if _is_special(number):\n            return False\n",
        "",
        NETWORKS,
    ),
    Mutant(
        "one allowed address of a name allows all",
        SSRF,
        HTTP + "dialling.py",
        "                allowed, happy_eyeballs_delay",
        "                found, happy_eyeballs_delay",
        NETWORKS + "::test_of_several_addresses_those_that_are_allowed_are_used",
    ),
    Mutant(
        "what nobody asked for is the next reply",
        WIRE,
        HTTP + "connection.py",
        "        if self._is_complete:\n            raise",
        "        if False:\n            raise",
        REQUESTS + "::test_what_nobody_asked_for_ends_a_connection",
    ),
    Mutant(
        "an interim reply is the answer",
        WIRE,
        HTTP + "connection.py",
        "self._has_head = self._status >= 200",
        "self._has_head = True",
        REQUESTS + "::test_interim_replies_are_no_answers",
    ),
    Mutant(
        "a refusal is one of all that went together",
        ONLY_THE_BAD,
        WEBHOOK + "sink.py",
        "        if not isinstance(outcome, Rejected) or len(messages) == 1:\n",
        "        if True:\n",
        REQUESTS + "::test_of_a_refused_request_only_the_refused_event_is_rejected",
    ),
    Mutant(
        "events of several addresses go together",
        "an event goes where its address leads",
        WEBHOOK + "sink.py",
        "groupby(messages, lambda message: self._target.head(message.event))",
        "groupby(messages, lambda message: 0)",
        REQUESTS + "::test_one_request_holds_events_of_one_address",
    ),
    Mutant(
        "the signature is over the compressed body",
        "receivers can verify what they are given",
        WEBHOOK + "sink.py",
        "(content.id, now, body)",
        "(content.id, now, compressed(body) or body)",
        REQUESTS + "::test_large_bodies_are_compressed_and_the_signature_is_over_the_body_before",
    ),
    Mutant(
        "a token that is refused is kept",
        "credentials that expired are replaced",
        WEBHOOK + "sink.py",
        "            self._tokens.refused(token)\n",
        "",
        AUTH + "::test_a_token_that_is_refused_is_replaced_once",
    ),
    Mutant(
        "a token may be shown",
        SECRET,
        WEBHOOK + "sink.py",
        '            content = content.replace(token.encode(), b"*" * len(token))\n',
        "            pass\n",
        AUTH + "::test_a_token_that_is_refused_is_replaced_once",
    ),
    Mutant(
        "a line break in a header is sent",
        "what comes from an event begins no header",
        WEBHOOK + "content.py",
        "value.translate(_PRINTABLE)",
        "value",
        REQUESTS + "::test_a_name_with_a_line_break_begins_no_header",
    ),
    Mutant(
        "names are resolved by the threads of everybody",
        FAIR,
        HTTP + "dialling.py",
        "limiter=self._lookups, ",
        "",
        REQUESTS + "::test_slow_names_and_handshakes_hold_up_no_other_sink",
    ),
    Mutant(
        "lookups that were given up do not count",
        FAIR,
        HTTP + "dialling.py",
        "        if not self._threads.acquire(blocking=False):\n",
        "        if not self._threads.acquire(blocking=False) and False:\n",
        REQUESTS + "::test_name_servers_that_never_answer_do_not_gather_threads",
    ),
    Mutant(
        "a burst of refusals shrinks the concurrency again and again",
        "the concurrency follows what the endpoint bears",
        "core/adaptive.py",
        "        if begun_at >= self._shrunk_at:\n",
        "        if True:\n",
        "tests/core/test_adaptive.py",
    ),
    Mutant(
        "a pause that is not stored yet is lifted by what is stored",
        STANDS,
        "runtime/subscription.py",
        "self._pausing.asked(live) or control.pause_of(live)",
        "control.pause_of(live)",
        PAUSES + "::test_a_pause_that_cannot_be_stored_yet_holds_all_the_same",
    ),
    Mutant(
        "the time of failure does not begin anew when an operator resumes",
        STANDS,
        "runtime/route.py",
        "        self._circuit.hope()\n",
        "",
        PAUSES + "::test_a_sink_that_fails_for_long_has_its_route_paused_and_then_gets_as_long_again",
    ),
)

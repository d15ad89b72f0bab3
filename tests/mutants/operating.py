"""Deliberate mistakes in what operators are told."""

from __future__ import annotations

from tests.mutants.table import Mutant

__all__ = ["OPERATING_MUTANTS"]

NEEDS = "doctor/needs.py"
OPLOG = "doctor/oplog.py"
PRIVILEGES = "tests/doctor/test_privileges.py"
OPLOGS = "tests/doctor/test_oplog.py"

STANDING = "administration/standing.py"
STANDINGS = "tests/cli/test_standing.py"

LATENCIES = "tests/runtime/test_latencies.py"
TAILED = "tests/cli/test_tail.py::test_what_has_passed_is_shown_as_the_pipeline_makes_it"

INIT = "tests/cli/test_init.py"

REPORT = "tests/cli/test_report.py"
API = "tests/api/test_admin_api.py"
ACCESS = "tests/api/test_api_access.py"
PLANNED = "tests/cli/test_plan.py::test_every_prospect"
QUIET = "tests/e2e/test_quiet.py"
KEPT_SECRET = "tests/e2e/test_secrets.py::test_nothing_gets_out_of_a_daemon"

OPERATING_MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "each try that failed is worth a line",
        "the log tells of no event",
        "runtime/attempts.py",
        "            self._metrics.failed(failure.fault, failure.kind)\n",
        "            self._metrics.failed(failure.fault, failure.kind)\n"
        "            self._log.debug('attempt_failed', reason=failure.reason)\n",
        QUIET,
    ),
    Mutant(
        "each batch that was delivered is worth a line",
        "the log tells of no event",
        "runtime/settling.py",
        "        self._metrics.delivered(len(entries))\n",
        "        self._metrics.delivered(len(entries))\n"
        "        self._log.debug('delivered', events=len(entries))\n",
        QUIET,
    ),
    Mutant(
        "a sink that was not there at the start is not shown",
        "the alert of a sink that is down fires whenever it went away",
        "runtime/route.py",
        "        if self.sink.waiting_for is not None:\n            return CircuitState.OPEN\n",
        "",
        "tests/runtime/test_outages.py::test_a_sink_that_cannot_be_opened_is_waited_for",
    ),
    Mutant(
        "nobody misses what has never had its lease",
        "the alert of a subscription that nobody runs fires from the start on",
        "daemon.py",
        "            metrics.lease_held(declared.name, held=False)",
        "            pass",
        "tests/e2e/test_start.py::test_an_unreachable_mongodb_is_waited_for",
    ),
    Mutant(
        "an endpoint prints nothing that it was sent",
        "no secret gets out",
        "sinks/webhook/target.py",
        "        if self.secrets is not None:\n",
        "        if False:\n",
        KEPT_SECRET,
    ),
    Mutant(
        "who may look may see the secrets of a configuration",
        "no secret gets out",
        "administration/configuration.py",
        "        case SecretStr() | SecretBytes():\n            return MASK\n",
        "        case SecretStr() | SecretBytes():\n            return str(value.get_secret_value())\n",
        KEPT_SECRET,
    ),
    Mutant(
        "only what is known to be an endpoint asks for a token",
        "nothing is told without a token",
        "api/application.py",
        "        if request.path not in self._open:\n",
        "        if request.path not in self._open and not request.path.endswith('openapi.json'):\n",
        f"{API}::test_nothing_is_told_without_a_token",
    ),
    Mutant(
        "a plan asks the servers that are written now",
        "only the servers in force are asked",
        "api/examining.py",
        "        if change.fixed:\n",
        "        if change.fixed and not change.fixed:\n",
        f"{API}::test_a_plan_says_what_a_reload_would_do_and_does_nothing",
    ),
    Mutant(
        "a look is told again whatever was asked",
        "a look answers its own question",
        "api/reach.py",
        "self.config is config and self.names == names and is_young",
        "self.config is config and is_young",
        f"{API}::test_it_looks_as_the_command_line_does",
    ),
    Mutant(
        "who may look may act",
        "a token of scope read changes nothing",
        "api/application.py",
        'if endpoint.scope == "write" and not caller.may_write:',
        "if False:",
        f"{API}::test_nothing_is_told_without_a_token",
    ),
    Mutant(
        "another server's answer is taken for a daemon's",
        "no command calls a mistake of ours what is none",
        "cli/daemon_seen.py",
        "        except _OTHERS:\n            raise Unreachable",
        "        except ZeroDivisionError:\n            raise Unreachable",
        f"{ACCESS}::test_the_command_line_knows_another_server",
    ),
    Mutant(
        "who validates does not ask the state store",
        "what keeps the daemon from its work is told beforehand",
        "cli/commands.py",
        "        anyio.run(check_state, config)\n",
        "",
        "tests/e2e/test_start.py::test_the_state_store_is_asked_too",
    ),
    Mutant(
        "connections may be idle without end",
        "whoever reaches the port takes no descriptor from a delivery",
        "api/connections.py",
        "if len(there) >= self._most:",
        "if False:",
        f"{ACCESS}::test_who_only_connects_takes_no_descriptor_from_others",
    ),
    Mutant(
        "a connection that is worked on makes room too",
        "an answer is not broken off by others who connect",
        "api/connections.py",
        "self._working.add(request.protocol)",
        "pass",
        f"{ACCESS}::test_who_only_connects_takes_no_descriptor_from_others",
    ),
    Mutant(
        "what a caller sends as an id is written down",
        "no token gets into the log",
        "api/application.py",
        "good = _REQUEST_ID.fullmatch(sent) and not self._access.is_secret(sent)",
        "good = _REQUEST_ID.fullmatch(sent)",
        f"{API}::test_nothing_in_the_log_or_on_a_page_is_a_secret",
    ),
    Mutant(
        "the library may log what it cannot parse",
        "no token gets into the log",
        "api/server.py",
        "logger=_SILENT, ",
        "",
        f"{API}::test_nothing_in_the_log_or_on_a_page_is_a_secret",
    ),
    Mutant(
        "a name on loopback is as good as another",
        "no page of the web reaches it",
        "api/access.py",
        "self._any_name = not server.is_local and not self._names",
        "self._any_name = not self._names",
        f"{ACCESS}::test_it_answers_to_its_names_alone",
    ),
    Mutant(
        "a report's window is as long as the one before",
        "a window ends now, and the one before ends where it begins",
        "administration/report.py",
        "if hours <= age < 2 * hours",
        "if hours < age < 2 * hours",
        f"{REPORT}::test_a_window_ends_now_and_the_one_before_ends_where_it_begins",
    ),
    Mutant(
        "the day that is judged is one of those that are usual",
        "a day is judged by the seven before",
        "administration/judging.py",
        "before = days[-_DAYS - 1 : -1]",
        "before = days[-_DAYS:]",
        f"{REPORT}::test_a_day_is_judged_by_the_seven_before",
    ),
    Mutant(
        "whoever types a command is an engineer",
        "no traceback at a user",
        "cli/ending.py",
        'if os.environ.get("EVENTBUS_TRACEBACK") or',
        "if cause or",
        "tests/cli/test_circumstances.py::test_our_own_mistake",
    ),
    Mutant(
        "init writes what it was given",
        "no password gets into a file",
        "cli/initial/answers.py",
        "if redact(text) != text or text == os.environ.get(variable):",
        "if text == os.environ.get(variable):",
        f"{INIT}::test_every_type_of_sink_is_valid_and_no_password_is_written",
    ),
    Mutant(
        "init trusts what it writes",
        "what would not be valid is not written",
        "cli/initial/writing.py",
        "            load([draft], Registry.from_entry_points(), {**os.environ, **values})",
        "            pass",
        f"{INIT}::test_a_wrong_answer_writes_nothing",
    ),
    Mutant(
        "a privilege on a collection is enough for the database",
        "exactly what is missing is named",
        NEEDS,
        "single = options.collections[0] if options.collections and len(options.collections) == 1 else",
        "single = options.collections[0] if options.collections else",
        f"{PRIVILEGES}::test_a_role_that_is_there_gets_what_it_lacks",
    ),
    Mutant(
        "all databases include local",
        "exactly what is missing is named",
        NEEDS,
        "    if need.database not in _NOT_NORMAL:\n        yield",
        "    if need.database is not None:\n        yield",
        f"{PRIVILEGES}::test_local_is_no_normal_database",
    ),
    Mutant(
        "the state is only read",
        "what is shown is enough",
        NEEDS,
        '("createIndex", "find", "insert", "remove", "update")',
        '("createIndex", "find", "insert", "remove")',
        f"{PRIVILEGES}::test_what_is_missing_is_named_and_what_is_shown_mends_it",
    ),
    Mutant(
        "a whole oplog forgets",
        "no alarm without a danger",
        OPLOG,
        "        if self.is_whole:\n            return False\n",
        "",
        f"{OPLOGS}::test_what_counts_is_how_far_it_will_reach_back_once_it_is_full",
    ),
    Mutant(
        "a pause explains everything",
        "the worst comes first",
        STANDING,
        "    if facts.is_lost:\n",
        "    if facts.is_lost and facts.paused is None:\n",
        f"{STANDINGS}::test_the_worst_comes_first",
    ),
    Mutant(
        "a position that is run stands still",
        "nothing is made up",
        STANDING,
        " or self.holder is not None:\n",
        ":\n",
        f"{STANDINGS}::test_what_is_left_of_a_route_that_nobody_runs",
    ),
    Mutant(
        "a lease that ran out has a holder",
        "people see who runs it",
        "state/sqlite.py",
        "WHERE owner IS NOT NULL AND lease_until > :now AND name IN",
        "WHERE owner IS NOT NULL AND name IN",
        "tests/state/test_leases.py::test_people_see_who_holds_a_lease_and_for_how_long",
    ),
    Mutant(
        "a tail shows what was read",
        "hidden values stay hidden",
        "cli/tailing.py",
        "            slots = await self._first.apply(slots)\n",
        "            await self._first.apply(slots)\n",
        TAILED,
    ),
    Mutant(
        "a tail of a route shows all",
        "only what the route takes",
        "cli/tailing.py",
        "        if self._admit is not None:",
        "        if self._admit is not None and not slots:",
        TAILED,
    ),
    Mutant(
        "a message is sent to see",
        "nothing is written unless that is asked for",
        "doctor/targets.py",
        "if not write or finding.mend:",
        "if finding.mend:",
        "tests/doctor/test_targets.py::test_no_message_is_written_unless_that_is_asked_for",
    ),
    Mutant(
        "latency: a batch is read when it is taken",
        "the parts of the latency add up, each where it was spent",
        "runtime/route.py",
        "self._window.open(alive, end, read_at)",
        "self._window.open(alive, end, anyio.current_time())",
        f"{LATENCIES}::test_the_wait_for_room_counts_before_the_send",
    ),
    Mutant(
        "latency: a call is one event",
        "the parts of the latency add up, each where it was spent",
        "runtime/attempts.py",
        "delivered = outcomes.count(DELIVERED)",
        "delivered = 1",
        f"{LATENCIES}::test_the_parts_add_up_to_the_whole",
    ),
    Mutant(
        "latency: it is in the first bucket or none",
        "an observation that stands for many is as good as many",
        "telemetry/weighted.py",
        "self._buckets[bisect_left(self._upper_bounds, amount)].inc(count)",
        "self._buckets[min(bisect_left(self._upper_bounds, amount) + 1, len(self._buckets) - 1)].inc(count)",
        "tests/telemetry/test_weighted.py",
    ),
    Mutant(
        "silence about a token is taken for consent",
        "a filter that excludes the saved event is found before a later one comes",
        "sources/mongodb/resumption.py",
        "PositionKind.IDLE).token > token:\n                return False\n",
        "PositionKind.IDLE).token > token:\n                return True\n",
        PLANNED,
    ),
    Mutant(
        "a reopened stream is taken for a resumed one",
        "a filter that excludes the saved event is found",
        "sources/mongodb/resumption.py",
        "        if start.beyond is not None:\n            return Resumption.REOPENED\n",
        "        if start.beyond is not None:\n            return Resumption.RESUMED\n",
        PLANNED,
    ),
    Mutant(
        "a preview does not ask a route's condition",
        "simulate says what a real run does",
        "preview/passage.py",
        "            slot = policy.when(slot)\n",
        "",
        "tests/e2e/test_preview.py",
    ),
    Mutant(
        "versions are judged as far as the one that is ahead",
        "differences are exact whatever the batches are",
        "preview/comparing.py",
        "        self._judge_up_to(min(self._read))",
        "        self._judge_up_to(max(self._read))",
        "tests/preview/test_counting.py::test_a_comparison_is_one_of_sets",
    ),
    Mutant(
        "what the pipeline parks is a dead letter of each route, to a case",
        "a case says once what the daemon parks for all routes",
        "cases/running.py",
        "ParkedEvent(number, None, slot.reason, Failure.STAGE.value)",
        "ParkedEvent(number, next(iter(fates)), slot.reason, Failure.STAGE.value)",
        "tests/cases/test_cases.py::test_what_is_dropped_or_parked_can_be_expected",
    ),
)

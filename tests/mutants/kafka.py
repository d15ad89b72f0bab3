"""Deliberate mistakes in the Kafka sink; see `tests.mutants.table`."""

from __future__ import annotations

from tests.mutants.table import Mutant

__all__ = ["KAFKA_MUTANTS"]

CONNECTION = "sinks/kafka/connection.py"
OPTIONS = "sinks/kafka/options.py"
SECURITY = "sinks/kafka/security.py"
SINK = "sinks/kafka/sink.py"

ON_THE_WIRE = "tests/sinks/test_kafka.py"
ACCESS = "tests/sinks/test_kafka_access.py"
OUTAGE = "tests/sinks/test_kafka_outage.py"
PLAN = "tests/sinks/test_kafka_plan.py"
TRUST = "nobody reads or writes in a broker's place"

KAFKA_MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "a record lies where its document would, whatever its key",
        "records of an equal key lie in one partition",
        SINK,
        "            key = message.event.key if message.key is None else message.key\n",
        "            key = message.event.key\n",
        f"{ON_THE_WIRE}::test_the_key_is_what_was_asked_for",
    ),
    Mutant(
        "what keys begin with counts for every length",
        "a key lies where Java's partitioner has it",
        "sinks/kafka/partitioner.py",
        "    known = _beginnings.get((size, beginning))\n",
        "    size = 100\n    known = _beginnings.get((size, beginning))\n",
        f"{PLAN}::test_keys_that_begin_alike_have_the_partitions_of_their_own",
    ),
    Mutant(
        "brokers make a topic before we do",
        "topics are made as configured",
        SINK,
        "        refused: KafkaError | None = None\n",
        "        refused: KafkaError | None = None\n        await connection.find(topic)\n",
        f"{ON_THE_WIRE}::test_a_topic_is_made_as_configured",
    ),
    Mutant(
        "a sink opens without its topic",
        "an operator hears at the start that there is no topic",
        SINK,
        "            if isinstance(count, Retry):\n",
        "            if False:\n",
        f"{OUTAGE}::test_a_constant_topic_is_looked_for_at_the_start",
    ),
    Mutant(
        "the name in a certificate is nobody's business",
        TRUST,
        SECURITY,
        "        context = trusting(certificates.ca_file)\n",
        "        context = trusting(certificates.ca_file)\n        context.check_hostname = False\n",
        f"{ACCESS}::test_the_name_in_a_certificate_is_verified",
    ),
    Mutant(
        "who is not let in is told that nobody answers",
        "an operator reads why there is no connection",
        CONNECTION,
        "    if options.sasl is None:\n        return away\n",
        "    if True:\n        return away\n",
        f"{ACCESS}::test_without_a_token_the_operator_reads_why",
    ),
    Mutant(
        "a password goes over the wire as it is",
        TRUST,
        OPTIONS,
        'self.sasl.mechanism == "PLAIN" and self.tls is None',
        "False",
        f"{PLAN}::test_a_password_is_never_sent_in_the_clear",
    ),
    Mutant(
        "an error shows the password",
        "no secret is shown",
        OPTIONS,
        "    model_config = ConfigDict(hide_input_in_errors=True)  # it may hold a password\n\n"
        "    bootstrap_servers",
        "    bootstrap_servers",
        f"{PLAN}::test_a_password_is_never_sent_in_the_clear",
    ),
)

"""All mutants there are."""

from __future__ import annotations

from itertools import chain

from tests.mutants.calls import CALL_MUTANTS
from tests.mutants.deployment import DEPLOYMENT_MUTANTS
from tests.mutants.documents import DOCUMENT_MUTANTS
from tests.mutants.encodings import ENCODING_MUTANTS
from tests.mutants.exactly_once import ONCE_MUTANTS
from tests.mutants.fields import FIELD_MUTANTS
from tests.mutants.gaps import GAP_MUTANTS
from tests.mutants.health import HEALTH_MUTANTS
from tests.mutants.kafka import KAFKA_MUTANTS
from tests.mutants.narrowing import NARROWING_MUTANTS
from tests.mutants.notices import NOTICE_MUTANTS
from tests.mutants.operating import OPERATING_MUTANTS
from tests.mutants.packages import PACKAGE_MUTANTS
from tests.mutants.pages import PAGE_MUTANTS
from tests.mutants.reloads import RELOAD_MUTANTS
from tests.mutants.routes import ROUTE_MUTANTS
from tests.mutants.rules import RULE_MUTANTS
from tests.mutants.sinks import SINK_MUTANTS
from tests.mutants.snapshots import SNAPSHOT_MUTANTS
from tests.mutants.stages import STAGE_MUTANTS
from tests.mutants.table import MUTANTS, Mutant
from tests.mutants.webhooks import WEBHOOK_MUTANTS

__all__ = ["EVERY"]

EVERY: tuple[Mutant, ...] = tuple(
    chain(
        MUTANTS,
        ROUTE_MUTANTS,
        DOCUMENT_MUTANTS,
        ENCODING_MUTANTS,
        FIELD_MUTANTS,
        CALL_MUTANTS,
        DEPLOYMENT_MUTANTS,
        NOTICE_MUTANTS,
        RELOAD_MUTANTS,
        GAP_MUTANTS,
        HEALTH_MUTANTS,
        KAFKA_MUTANTS,
        NARROWING_MUTANTS,
        ONCE_MUTANTS,
        OPERATING_MUTANTS,
        PACKAGE_MUTANTS,
        PAGE_MUTANTS,
        RULE_MUTANTS,
        SINK_MUTANTS,
        SNAPSHOT_MUTANTS,
        STAGE_MUTANTS,
        WEBHOOK_MUTANTS,
    )
)

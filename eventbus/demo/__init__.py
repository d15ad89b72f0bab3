"""The demo: a shop on real servers, the daemon beside it, and a judge who counts at both ends.

`Workload`, `Ledger` and the receivers serve the end-to-end tests too. Nothing here is imported by the daemon,
and nothing here believes the daemon's own numbers.
"""

from eventbus.demo.demonstration import run

__all__ = ["run"]

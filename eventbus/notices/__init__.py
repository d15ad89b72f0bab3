"""Changes of state as messages to a sink of the user's choice.

The way through this package: `kinds` says what each kind means, `changes` decides which changes are told,
`outbox` keeps those until they are sent, `sending` sends them, `letters` counts dead letters, and `desk` puts
all that together for a daemon. What notices there are is in `eventbus.telemetry.notices`.
"""

from eventbus.notices.desk import Desk

__all__ = ["Desk"]

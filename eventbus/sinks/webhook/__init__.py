"""The webhook sink: one signed HTTP POST for each event."""

from eventbus.sinks.webhook.options import Signing, WebhookOptions
from eventbus.sinks.webhook.sink import WebhookSink

__all__ = ["Signing", "WebhookOptions", "WebhookSink"]

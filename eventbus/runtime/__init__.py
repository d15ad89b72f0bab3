"""A change event's way through the daemon: supervisor, subscription, flow, route, saver."""

"""HTTP and TLS as a client: what the webhook sink, the tokens of others and lookups have in common."""

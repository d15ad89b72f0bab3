"""What a configuration would do: where its routes would begin, and what would become of changes.

Past changes are read once more, by cursors of its own, and go through what the daemon is made of, up to the
messages. Nothing is sent, stored or moved; no sink is opened.
"""

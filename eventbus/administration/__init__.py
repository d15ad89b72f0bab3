"""What operators ask about an installation, and want of it: decided here, once, for whoever shows it.

The command line and the admin API both come here with a state store, a source or a client that is open
already, and get values back: rows, plans, operations. Nothing here prints, asks a person or connects.
"""

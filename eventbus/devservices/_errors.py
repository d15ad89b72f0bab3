"""What can go wrong with a development server.

```
DevServiceError
├── Unavailable    the server cannot be had on this machine: one sentence that says what to install
├── ServerFailed   it was found, but did not start, or does not do what was asked of it
└── NotOurs        it was found at an address somebody else runs: it is not ours to kill, pause or restart
```
"""

from __future__ import annotations


class DevServiceError(Exception):
    """The root of this package's errors."""


class Unavailable(DevServiceError):
    """The server cannot be had here; the message is one sentence that says what to install."""


class ServerFailed(DevServiceError):
    """A server that was found did not start or did not answer; the message ends with its last words."""


class PortTaken(ServerFailed):
    """Somebody took the port between our choosing it and the server's binding it: choose another."""


class NotOurs(DevServiceError):
    """The server was named by an environment variable, so nothing here may end or halt it."""


class FetchFailed(DevServiceError):
    """A package registry's client could not give the server; `finding` turns it into Unavailable."""

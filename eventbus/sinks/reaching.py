"""The way to a server, step by step, for people who want to know where it ends.

Only what the network says: whoever has got so far still has to be let in. Each step is bounded by itself.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing

import anyio
import anyio.abc
from anyio.streams.tls import TLSAttribute, TLSStream

from eventbus.sdk import ProbeStep, Sink, Unreachable

__all__ = ["opening", "probed"]

_Address = tuple[str, int]


async def opening(sink: Sink, name: str = "open") -> ProbeStep:
    """Open the sink, as a step.

    Args:
        sink: What to open.
        name: What its opening adds to the steps before.

    Raises:
        ConfigurationError: Trying again is of no use.
    """
    try:
        await sink.open()
    except Unreachable as error:
        return ProbeStep(name, False, str(error))
    return ProbeStep(name, True, "")


def _any(_: str) -> bool:
    return True


async def _reach_any(
    addresses: Iterable[_Address],
    tls: ssl.SSLContext | None,
    timeout_secs: float,
    allow: Callable[[str], bool],
) -> AsyncGenerator[ProbeStep, None]:
    """The steps to each of several servers, up to the first that is reached."""
    for host, port in addresses:
        step = None
        async with aclosing(_reach(host, port, tls, timeout_secs, allow)) as steps:
            async for step in steps:
                yield step
        if step is not None and step.ok:
            return


async def probed(
    sink: Sink,
    addresses: Sequence[_Address],
    *,
    tls: ssl.SSLContext | None,
    timeout_secs: float,
    last: str,
    allow: Callable[[str], bool] = _any,
) -> AsyncGenerator[ProbeStep, None]:
    """The steps to the first server that is reached, and then the sink's own opening.

    Args:
        sink: What is opened in the end.
        addresses: Hosts and ports; none where only the sink knows them.
        tls: How connections are encrypted; None if they are not.
        timeout_secs: The most that one step may take.
        last: What the sink's opening adds to the steps before.
        allow: Whether an address may be connected to.
    """
    is_reached = not addresses
    async with aclosing(_reach_any(addresses, tls, timeout_secs, allow)) as steps:
        async for step in steps:
            is_reached = step.ok
            yield step
    if is_reached:
        yield await opening(sink, last)


async def _reach(
    host: str, port: int, tls: ssl.SSLContext | None, timeout_secs: float, allow: Callable[[str], bool]
) -> AsyncGenerator[ProbeStep, None]:
    """Resolve, connect and, with `tls`, agree on a session; ends with the first step that fails."""
    addresses, step = await _resolved(host, port, timeout_secs)
    yield step
    if not step.ok:
        return
    stream, step = await _connected([place for place in addresses if allow(place[0])], timeout_secs)
    try:
        yield step
        if stream is not None and tls is not None:
            stream, step = await _encrypted(stream, host, tls, timeout_secs)
            yield step
    finally:
        if stream is not None:
            await anyio.aclose_forcefully(stream)


async def _resolved(host: str, port: int, timeout_secs: float) -> tuple[Sequence[_Address], ProbeStep]:
    try:
        with anyio.fail_after(timeout_secs):
            found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError) as error:
        return [], ProbeStep("resolve", False, f"{host}: {_reason(error, timeout_secs)}")
    addresses = list(dict.fromkeys((str(place[0]), int(place[1])) for *_, place in found))
    return addresses, ProbeStep("resolve", True, f"{host}: {', '.join(address for address, _ in addresses)}")


async def _connected(
    addresses: Sequence[_Address], timeout_secs: float
) -> tuple[anyio.abc.ByteStream | None, ProbeStep]:
    reasons = []
    for address, port in addresses:
        place = f"{address} port {port}"
        try:
            with anyio.fail_after(timeout_secs):
                stream = await anyio.connect_tcp(address, port)
        except (OSError, TimeoutError) as error:
            reasons.append(f"{place}: {_reason(error, timeout_secs)}")
        else:
            return stream, ProbeStep("connect", True, place)
    return None, ProbeStep("connect", False, "; ".join(reasons) or "no address that may be connected to")


async def _encrypted(
    stream: anyio.abc.ByteStream, host: str, tls: ssl.SSLContext, timeout_secs: float
) -> tuple[anyio.abc.ByteStream, ProbeStep]:
    try:
        with anyio.fail_after(timeout_secs):
            wrapped = await TLSStream.wrap(stream, hostname=host, ssl_context=tls, standard_compatible=False)
    except (OSError, TimeoutError, anyio.EndOfStream, anyio.BrokenResourceError) as error:
        return stream, ProbeStep("tls", False, _reason(error, timeout_secs))
    return wrapped, ProbeStep("tls", True, _session(wrapped))


def _session(stream: TLSStream) -> str:
    """What was agreed on, and until when the server's certificate is good."""
    session = stream.extra(TLSAttribute.ssl_object)  # noqa: S610 - of anyio, not of a database
    certificate = session.getpeercert() or {}
    return f"{session.version()}, certificate good until {certificate.get('notAfter', 'unknown')}"


def _reason(error: BaseException, timeout_secs: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout_secs:g} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {error.verify_message}"
    if isinstance(error.__cause__, OSError):
        error = error.__cause__
    return getattr(error, "strerror", None) or str(error) or type(error).__name__

"""What the admin API answers when it looks closely: findings, plans and reports, as models."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from eventbus.api.endpoints import Answer

__all__ = ["Differences", "Doctor", "Finding", "Plan", "PlannedRoute", "Report", "RouteReport"]


class Finding(Answer):
    """What a check has found."""

    code: str
    """That of the problem; the name of the check where all is well."""
    verdict: Literal["ok", "warn", "fail"]
    """How bad it is."""
    about: str | None
    """What it is about, such as a subscription, a sink or a collection; null for the whole."""
    found: str
    """What was seen."""
    mend: str | None
    """What to type or to do; null where nothing needs to be done."""


class Doctor(Answer):
    """What would keep the daemon's configuration from working well."""

    examined_at: str
    """When the look began; one of a few seconds ago is told again."""
    complete: bool
    """Whether all checks were made; false if they took longer than a request may."""
    findings: list[Finding]
    """In the order in which they were made."""


class Differences(Answer):
    """What a reload would do with what stands in the files now."""

    needs_restart: list[str]
    """Keys that differ and that only a restart changes: with any, a reload is refused."""
    added: list[str]
    """Subscriptions that would be begun."""
    removed: list[str]
    """Subscriptions that would drain and be no more."""
    restarted: list[str]
    """Subscriptions that would drain and be begun anew, at their positions."""
    sinks: list[str]
    """Sinks that would be made, made anew or closed."""


class PlannedRoute(Answer):
    """What becomes of a route."""

    subscription: str
    """Name of its subscription."""
    route: str
    """Its name."""
    prospect: str
    """What becomes of it, in a word or two."""
    position: str | None
    """Up to when it has all changes; null if the source is yet to be asked."""
    documents: int | None
    """How many documents a snapshot would read; null without one."""
    paused: str | None
    """Why it is paused; null if it is not."""
    owner: str | None
    """The daemon that runs it now; null if none does."""
    why: str
    """Why that becomes of it."""
    next: str | None
    """What to type, or to write; null if nothing is to be done."""


class Plan(Answer):
    """What a reload would do, and what becomes of each route."""

    reload: Differences
    """What is to end and to begin."""
    agreed: bool
    """Whether nothing is lost, left behind or read anew, and a reload can put it in force."""
    routes: list[PlannedRoute]
    """What becomes of each route; none if a restart is needed."""


class Kind(Answer):
    """The dead letters of one kind of failure within the window."""

    kind: str
    """The kind of failure."""
    dead_letters: int
    """How many."""
    latest: str
    """When the last of them was parked."""


class Hour(Answer):
    """One hour of the window, counted back from now."""

    from_: str = Field(alias="from")
    """When it begins."""
    dead_letters: int
    """How many were first parked in it."""


class RouteReport(Answer):
    """How a route has done."""

    subscription: str
    """Name of its subscription."""
    route: str
    """Its name."""
    health: str
    """healthy, degraded, warning, critical or unknown."""
    why: str | None
    """Why."""
    counted_since: str | None
    """Since when this daemon has counted what comes up to mean_call_secs: none of it is of the window."""
    counted_secs: int | None
    """How long that is."""
    delivered: int | None
    """Events that the sink has."""
    filtered: int | None
    """Events that were left out."""
    parked: int | None
    """Events that became dead letters."""
    waiting: int | None
    """Events that were read and have not found their end."""
    failed_attempts: int | None
    """Attempts for a message that failed."""
    settled_per_sec: float | None
    """Events that found their end each second, on average."""
    error_share: float | None
    """parked, as a share of all that found their end."""
    processed_share: float | None
    """delivered and filtered, as a share of all that was read."""
    mean_call_secs: float | None
    """How long a call to the sink takes."""
    window: str
    """How far it looks back."""
    dead_letters: int
    """How many were first parked within the window."""
    dead_letters_before: int
    """How many were within the one before."""
    trend: str
    """How the two compare."""
    kinds: list[Kind]
    """The same by kind of failure."""
    last_day: int | None
    """How many were parked in the last 24 hours."""
    usual_day: list[float] | None
    """What is usual for a day, from and to; null if it is not known."""
    anomaly: str | None
    """high or low if the last day is outside of that."""
    hours: list[Hour]
    """The dead letters by hour; hours without any are left out."""
    gaps: int
    """How many were recorded within the window."""
    operations: int
    """How many were asked for within the window."""
    paused: str | None
    """Why it is paused; null if it is not."""
    next: list[str]
    """What to type, the most pressing first."""


class Report(Answer):
    """How routes have done."""

    routes: list[RouteReport]
    """In the order of the configuration."""

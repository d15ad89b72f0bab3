"""`eventbus doctor` and collections that keep no images of their documents."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo import MongoClient

from eventbus.doctor.findings import Verdict
from tests.doctor.patient import Patient, typed

pytestmark = pytest.mark.services

Administrator = MongoClient[dict[str, Any]]


@pytest.mark.parametrize("wanted", ["before: required", "full_document: required"])
def test_a_collection_without_required_images(
    patient: Patient, client: Administrator, fresh_database: str, wanted: str
) -> None:
    """The one that has none is named; what is shown mends it."""
    client[fresh_database].create_collection("orders")
    client[fresh_database].create_collection("products", changeStreamPreAndPostImages={"enabled": True})
    patient.parts["source"] = f"collections: [orders, products], {wanted}"
    problems = patient.problems()
    assert set(problems) == {"images.missing"}
    assert problems["images.missing"].text == f"{fresh_database}.orders keeps no images"
    assert problems["images.missing"].verdict is Verdict.FAIL
    typed(client, problems["images.missing"].mend)
    assert patient.problems() == {}
    assert "kept by each of 2 collections" in [finding.text for finding in patient.findings()]


def test_images_that_are_taken_when_available(
    patient: Patient, client: Administrator, fresh_database: str
) -> None:
    """They never are: a warning, for the stream works."""
    client[fresh_database].create_collection("orders")
    patient.parts["source"] += ", before: when_available"
    problem = patient.problems()["images.unavailable"]
    assert problem.verdict is Verdict.WARN
    typed(client, problem.mend)
    assert patient.problems() == {}


def test_a_collection_that_is_not_there(patient: Patient, client: Administrator, fresh_database: str) -> None:
    """One that the first insert makes would keep none."""
    patient.parts["source"] += ", before: required"
    problem = patient.problems()["images.no_collection"]
    typed(client, problem.mend)
    assert client[fresh_database].list_collection_names() == ["orders"]
    assert patient.problems() == {}


def test_nobody_looks_where_no_images_are_wanted(
    patient: Patient, client: Administrator, fresh_database: str
) -> None:
    """Nor at views and collections of the server's own."""
    client[fresh_database].create_collection("orders")
    assert patient.problems() == {}
    client[fresh_database].command("create", "paid", viewOn="orders", pipeline=[])
    patient.parts["source"] = "before: required"
    problems = patient.problems()
    assert [problem.text for problem in problems.values()] == [f"{fresh_database}.orders keeps no images"]

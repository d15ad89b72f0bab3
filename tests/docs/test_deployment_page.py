"""The page on deployment says of the shipped files what stands in them."""

from __future__ import annotations

from tests.dist.dockerfile import stages
from tests.docs.pages import ROOT, blocks, code_spans, tables

PAGE = ROOT / "docs/deployment.md"


def test_the_arguments_of_the_build_are_those_of_the_dockerfile() -> None:
    """Each with its default."""
    text = (ROOT / "Dockerfile").read_text()
    defaults = {
        name: default
        for line in text.splitlines()
        if line.startswith("ARG ")
        for name, _, default in [line[4:].partition("=")]
    }
    written = {
        name.strip("`"): row[1].strip("`") for row in tables(PAGE)["Container"] for name in row[0].split(", ")
    }
    assert written == defaults


def test_the_user_and_the_folder_are_those_of_the_dockerfile() -> None:
    """What one needs to know to mount a volume."""
    last = stages(ROOT / "Dockerfile")["eventbus"]
    assert f"user {last.one('USER').rest.partition(':')[0]}" in PAGE.read_text()
    assert last.one("WORKDIR").rest in code_spans(PAGE)


def test_the_sidecar_on_the_page_is_the_one_that_is_tested() -> None:
    """Line by line."""
    chart = (ROOT / "tests/dist/charts/shop/templates/deployment.yaml").read_text()
    (block,) = blocks("gotemplate", PAGE)
    tested = {line.strip() for line in chart.splitlines()}
    assert {line.strip() for line in block.text.splitlines()} <= tested

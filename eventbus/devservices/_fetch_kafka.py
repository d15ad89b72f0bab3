"""Fetches Kafka's broker from a Maven repository, with mvn as it is configured on this machine."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from eventbus.devservices._cache import cached, is_cached, run_tool
from eventbus.devservices._errors import FetchFailed
from eventbus.devservices._finding import Program

KAFKA_VERSION: Final = "4.1.1"
_NAME = f"kafka-{KAFKA_VERSION}"
_SLF4J_VERSION = "1.7.36"
_GOAL = "dependency:copy-dependencies"
_POM = f"""\
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>eventbus.devservices</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>{_SLF4J_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""


def kafka_is_cached() -> bool:
    """Tell whether Kafka has been fetched."""
    return is_cached(_NAME)


def fetch_kafka() -> Program:
    """Return the JVM with Kafka on its class path, fetching Kafka first if need be.

    Raises:
        FetchFailed: there is no Java or no Maven here, or Maven failed.
    """
    java = shutil.which("java")
    if java is None:
        raise FetchFailed("java is not installed")
    progress = f"fetching Kafka {KAFKA_VERSION} with mvn (about 40 MB; the first time takes a while)"
    directory = cached(_NAME, _fetch, progress=progress)
    return Program((java, "-cp", str(directory / "lib" / "*")))


def _fetch(part: Path) -> None:
    (part / "pom.xml").write_text(_POM)
    run_tool("mvn", "-q", "-B", _GOAL, "-DincludeScope=runtime", "-DoutputDirectory=lib", cwd=part)
    if not list((part / "lib").glob("kafka_*.jar")):
        raise FetchFailed("mvn copied no Kafka")

"""Fetches OpenSearch from a Maven repository, with mvn as it is configured on this machine.

What is there is its core, which a class of ours starts: the archive that its makers offer is ten times as
large, and refuses to run as root, as tests in a container do.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from eventbus.devservices._cache import cached, run_tool
from eventbus.devservices._errors import FetchFailed
from eventbus.devservices._finding import Program

OPENSEARCH_VERSION: Final = "2.19.1"
_LOG4J_VERSION = "2.21.0"
_NAME = f"opensearch-{OPENSEARCH_VERSION}"
_GOAL = "dependency:copy-dependencies"
_POM = f"""\
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>eventbus.devservices</groupId>
  <artifactId>opensearch</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.opensearch</groupId>
      <artifactId>opensearch</artifactId>
      <version>{OPENSEARCH_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.opensearch.plugin</groupId>
      <artifactId>transport-netty4-client</artifactId>
      <version>{OPENSEARCH_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-core</artifactId>
      <version>{_LOG4J_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""
_STARTER = """\
import java.nio.file.Path;
import java.util.List;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.node.Node;
import org.opensearch.transport.Netty4Plugin;

/** Starts a node with the settings of its arguments, written as for its makers' script: -Ename=value. */
public final class Starter extends Node {
    private Starter(Environment environment) {
        super(environment, List.of(Netty4Plugin.class), false);
    }

    public static void main(String[] arguments) throws Exception {
        Settings.Builder settings = Settings.builder();
        settings.put("http.type", "netty4").put("transport.type", "netty4");
        for (String argument : arguments) {
            String[] pair = argument.substring("-E".length()).split("=", 2);
            settings.put(pair[0], pair[1]);
        }
        settings.put("path.home", settings.get("path.data"));
        Settings all = settings.build();
        new Starter(new Environment(all, Path.of(all.get("path.home")))).start();
        System.out.println("[" + all.get("node.name") + "] started");
        Thread.currentThread().join();
    }
}
"""


def fetch_opensearch() -> Program:
    """Return the JVM with OpenSearch on its class path, fetching OpenSearch first if need be.

    Raises:
        FetchFailed: there is no Java, no compiler or no Maven here, or one of them failed.
    """
    java = shutil.which("java")
    if java is None:
        raise FetchFailed("java is not installed")
    progress = (
        f"fetching OpenSearch {OPENSEARCH_VERSION} with mvn (about 40 MB; the first time takes a while)"
    )
    directory = cached(_NAME, _fetch, progress=progress)
    return Program((java, *_JVM, "-cp", f"{directory / 'lib'}/*:{directory}", "Starter"))


_JVM: Final = ("-Xms128m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


def _fetch(part: Path) -> None:
    (part / "pom.xml").write_text(_POM)
    run_tool("mvn", "-q", "-B", _GOAL, "-DincludeScope=runtime", "-DoutputDirectory=lib", cwd=part)
    if not list((part / "lib").glob("opensearch-*.jar")):
        raise FetchFailed("mvn copied no OpenSearch")
    (part / "Starter.java").write_text(_STARTER)
    run_tool("javac", "-nowarn", "-cp", "lib/*", "Starter.java", cwd=part)

"""Certificates for a server and a client of it, made anew for each test run."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

CLIENT_SUBJECT = "CN=eventbus,O=shop"
"""How MongoDB names the client's user: the subject, the most special part first."""


@dataclass(frozen=True)
class Certificates:
    """Files in PEM; those of the server and the client hold the private key, too."""

    ca: Path
    server: Path
    client: Path
    strange_ca: Path
    """An authority that nobody knows."""

    @classmethod
    def made_in(cls, directory: Path) -> Certificates:
        """Make them."""
        for name in ("ca", "strange"):
            _openssl(
                directory,
                *_NEW,
                "-x509",
                "-subj",
                f"/CN={name}",
                "-keyout",
                f"{name}.key",
                "-out",
                f"{name}.pem",
            )
        (directory / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        for name, subject in (("server", "/O=servers/CN=127.0.0.1"), ("client", "/O=shop/CN=eventbus")):
            _openssl(directory, *_NEW, "-subj", subject, "-keyout", f"{name}.key", "-out", f"{name}.csr")
            sign = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
            _openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.crt", *sign)
            both = (directory / f"{name}.key").read_text() + (directory / f"{name}.crt").read_text()
            (directory / f"{name}.pem").write_text(both)
        return cls(*(directory / f"{name}.pem" for name in ("ca", "server", "client", "strange")))


_NEW = ("req", "-newkey", "rsa:2048", "-nodes", "-days", "2")


def _openssl(directory: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)

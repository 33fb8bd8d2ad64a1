# SPDX-License-Identifier: Apache-2.0
"""Secrets by reference: the configuration says where a secret is, and it is read when it is used."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gatebook.model.errors import OperatorFault, quoted
from gatebook.model.secret import Secret

MAX_SECRET_BYTES = 65_536  # LIMIT: a certificate chain fits; a wrong path to something large does not


class ConfigFault(OperatorFault):
    """The configuration is wrong, or something that it refers to."""

    code = "config"


class SecretSource(Protocol):
    """A place that keeps secrets, such as a vault.

    `read` may block and may be called again at any time, so that a rotated secret is taken up; it raises ConfigFault
    with what to do next, and never puts a secret into an error.
    """

    def read(self, locator: str) -> Secret:
        """Return the secret that the part of the reference after the colon names."""


@dataclass(frozen=True, slots=True)
class SecretRef:
    """A reference, `scheme:locator`. Safe to print."""

    scheme: str
    locator: str

    def __str__(self) -> str:
        """Show as written in the configuration."""
        return f"{self.scheme}:{self.locator}"


@dataclass(frozen=True, slots=True)
class EnvironmentSecrets:
    """`env:NAME`: an environment variable of the gate's process."""

    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def read(self, locator: str) -> Secret:
        """See `SecretSource`."""
        value = self.environment.get(locator)
        if not value:
            raise ConfigFault(f"environment variable {quoted(locator)} is not set", "set it where the gate is started")
        return Secret(value)


@dataclass(frozen=True, slots=True)
class FileSecrets:
    """`file:PATH`: the content of a file without its last line break; relative to the configuration's folder."""

    folder: Path

    def read(self, locator: str) -> Secret:
        """See `SecretSource`."""
        path = self.folder / locator
        try:
            with path.open("rb") as file:
                content = file.read(MAX_SECRET_BYTES + 1)
        except OSError as fault:
            words = (fault.strerror or "unknown error").lower()
            raise ConfigFault(
                f"secret file {quoted(str(path))} cannot be read: {words}", "see the path and its owner"
            ) from fault
        if len(content) > MAX_SECRET_BYTES:
            raise ConfigFault(f"secret file {quoted(str(path))} is larger than {MAX_SECRET_BYTES} bytes")
        content = content.removesuffix(b"\n").removesuffix(b"\r")
        if not content:
            raise ConfigFault(f"secret file {quoted(str(path))} is empty")
        return Secret(content)


class Secrets:
    """Reads secrets by reference from the sources it was given, by scheme."""

    def __init__(self, sources: Mapping[str, SecretSource]) -> None:
        self._sources = dict(sources)

    @classmethod
    def beside(cls, folder: Path) -> Secrets:
        """Return the built-in sources `env` and `file` for a configuration in `folder`."""
        return cls({"env": EnvironmentSecrets(), "file": FileSecrets(folder)})

    def read(self, reference: SecretRef) -> Secret:
        """Return the secret. ConfigFault if it is not there or its scheme is not known."""
        source = self._sources.get(reference.scheme)
        if source is None:
            known = ", ".join(f"`{scheme}:`" for scheme in sorted(self._sources))
            raise ConfigFault(f"secrets cannot come from {quoted(reference.scheme)}", f"known sources: {known}")
        return source.read(reference.locator)

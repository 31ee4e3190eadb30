"""Talks to the cluster by calling `kubectl`: contexts, logins and impersonation work as the user knows them."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from modelrollout.cli.complaints import Cause, Complaint, complaint, missing

ROLLOUTS, ACTIONS = "modelrollouts.modelrollout.dev", "rolloutactions.modelrollout.dev"
REQUEST = 15
"""Seconds that the API server has for one answer."""
LIMIT = 60.0
"""Seconds that one call of kubectl may take, with a login and all its attempts."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl with the user's choice of cluster and namespace; None: as the kubeconfig says. `request`: seconds."""

    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None
    everywhere: bool = False
    request: int = REQUEST

    @property
    def place(self) -> str:
        """Where it looks, as an ending of sentences."""
        if self.everywhere:
            return " in any namespace"
        return f" in namespace {self.namespace}" if self.namespace else " in the context's namespace"

    def call(self, *args: str, text: str | None = None, limit: float = LIMIT) -> str:
        """What kubectl prints. `text`: its input. Raises Complaint, never anything of subprocess."""
        return self._done(*args, text=text, limit=limit).stdout

    def logged(self, *args: str) -> str:
        """What kubectl logs beside its answer, with -v=8 headers too. Raises Complaint."""
        return self._done(*args, text=None, limit=LIMIT).stderr

    def _done(self, *args: str, text: str | None, limit: float) -> subprocess.CompletedProcess[str]:
        argv = [*self._argv(), f"--request-timeout={self.request}s", *args]
        try:
            # Without text it has our input: a login may ask something.
            done = subprocess.run(argv, input=text, capture_output=True, encoding="utf-8", timeout=limit, check=False)
        except FileNotFoundError:
            raise missing() from None
        except OSError as error:
            raise Complaint(Cause.OTHER, f"kubectl can't be run: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise Complaint(Cause.TIMEOUT, f"kubectl has not answered within {limit:g} s; check the cluster") from None
        except UnicodeDecodeError:
            raise Complaint(Cause.OTHER, "kubectl has printed what is no UTF-8 text") from None
        if done.returncode != 0:
            raise complaint(done.stderr, self.place)
        return done

    def read(self, *args: str) -> Mapping[str, Any]:
        """The object (or List) that `kubectl get ARGS` finds. Raises Complaint."""
        return _object(self.call("get", *args, *self._all(), "--output=json"))

    def printed(self, output: str, *args: str) -> str:
        """What `kubectl get ARGS -o OUTPUT` prints, such as jsonpath={.status.phase}. Raises Complaint."""
        return self.call("get", *args, *self._all(), f"--output={output}")

    def rollouts(self) -> Mapping[str, Any]:
        """All ModelRollouts there. Raises Complaint.

        As the server sends them: a thousand of them take kubectl two seconds to read and write anew.
        """
        namespace = "" if self.everywhere else (self.namespace or self.usual())
        if not namespace and not self.everywhere:
            return self.read(ROLLOUTS)
        place = f"namespaces/{quote(namespace, safe='')}/" if namespace else ""
        return _object(self.call("get", "--raw", f"/apis/modelrollout.dev/v1alpha1/{place}modelrollouts"))

    def usual(self) -> str:
        """The namespace of the kubeconfig's context; empty where there is none, as in a pod."""
        try:
            found = self.call("config", "view", "--minify", "--output=jsonpath={..namespace}").strip()
        except Complaint:
            return ""
        return found or "default"

    def create(self, obj: Mapping[str, Any], *flags: str) -> Mapping[str, Any]:
        """The object as created. Raises Complaint."""
        return _object(self.call("create", "--filename=-", "--output=json", *flags, text=json.dumps(obj)))

    @contextmanager
    def watch(self, *args: str) -> Iterator[Stream]:
        """What `kubectl get ARGS --watch` sees, first the object as it is. Raises Complaint when it can't begin."""
        flags = ("--watch", "--output-watch-events", "--output=json")
        with tempfile.TemporaryFile() as said:
            try:
                process = subprocess.Popen(
                    [*self._argv(), "get", *args, *self._all(), *flags], stdout=subprocess.PIPE, stderr=said
                )
            except FileNotFoundError:
                raise missing() from None
            try:
                yield Stream(process, said, self.place)
            finally:
                process.kill()
                process.wait()
                assert process.stdout is not None
                process.stdout.close()

    def _argv(self) -> Sequence[str]:
        pairs = (("--context", self.context), ("--namespace", self.namespace), ("--kubeconfig", self.kubeconfig))
        return ["kubectl", *(f"{flag}={value}" for flag, value in pairs if value is not None)]

    def _all(self) -> Sequence[str]:
        return ["--all-namespaces"] if self.everywhere else []


class Ended(Exception):
    """The server has ended a watch, as it does every hour or so: begin another."""


class Stream:
    """The events of one watch."""

    def __init__(self, process: subprocess.Popen[bytes], said: Any, place: str) -> None:
        assert process.stdout is not None
        self._process, self._said, self._place = process, said, place
        self._output = process.stdout
        self._rest = b""
        self._lines: list[bytes] = []

    def next(self, timeout: float) -> Mapping[str, Any] | None:
        """The next event, `{type, object}`; None when there is none in so many seconds. Raises Ended, Complaint."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            while True:
                event = self._whole()
                if event is not None:
                    return event
                if not selector.select(timeout):
                    return None
                data = os.read(self._output.fileno(), 1 << 16)
                if not data:
                    self._over()
                self._rest += data

    def _whole(self) -> Mapping[str, Any] | None:
        # kubectl prints an event a line; an indented one ends with the line that is a brace alone.
        while b"\n" in self._rest:
            line, _, self._rest = self._rest.partition(b"\n")
            self._lines.append(line)
            if line == b"}" or (len(self._lines) == 1 and len(line) > 1):
                document, self._lines = b"\n".join(self._lines), []
                return _object(document)
        return None

    def _over(self) -> None:
        if self._process.wait() == 0:
            raise Ended
        self._said.seek(0)
        raise complaint(self._said.read().decode("utf-8", "replace"), self._place)


def _object(text: str | bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Complaint(Cause.OTHER, "kubectl has printed what is no JSON object; is it a kubectl?")
    return found

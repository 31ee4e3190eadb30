"""A cluster as kubectl tells of it, for commands that ask many questions: answers by what is asked, in any order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelrollout.cli.asking import Asking
from modelrollout.cli.complaints import Cause, Complaint
from modelrollout.cli.kubectl import Kubectl

Answer = Mapping[str, Any] | list[Any] | str | Complaint
NOT_SERVED = Complaint(Cause.NO_CRD, "this cluster has no such thing")
FORBIDDEN = Complaint(Cause.FORBIDDEN, 'forbidden: User "jo" cannot do this')


@dataclass(frozen=True)
class Cluster(Kubectl):
    """Answers by a part of the command that only one question has; the last one that was set counts."""

    told: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    """Verb and resource that nobody may, also not the operator; a subresource stands behind a slash."""

    def call(self, *args: str, text: str | None = None, limit: float = 60.0) -> str:
        command = " ".join(args)
        self.asked.append(command)
        if args[0] == "create" and "SelfSubjectAccessReview" in (text or ""):
            return self._review(text or "", "--as" in command)
        found = next((answer for part, answer in reversed(self.told.items()) if part in command), None)
        assert found is not None, f"nobody has told what to answer to: {command}"
        if isinstance(found, Complaint):
            raise found
        if isinstance(found, list):
            return json.dumps({"kind": "List", "items": found})
        return found if isinstance(found, str) else json.dumps(found)

    def logged(self, *args: str) -> str:
        return self.call(*args)

    def usual(self) -> str:
        return "serving"

    def _review(self, text: str, for_another: bool) -> str:
        who = self.told.get("--as" if for_another else "self", "")
        if isinstance(who, Complaint):
            raise who
        answers = []
        for each in json.loads(text)["items"]:
            about = each["spec"]["resourceAttributes"]
            what = about["resource"] + (f"/{about['subresource']}" if about["subresource"] else "")
            answers.append({"status": {"allowed": (about["verb"], what) not in self.refused}})
        return "\n".join(json.dumps(each, indent=2) for each in answers)


def asking(cluster: Cluster) -> Asking:
    return Asking(cluster, say=lambda _: None)

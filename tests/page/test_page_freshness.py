"""The page behind a balancer: it asks for a registry that is at least as new as what it has seen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Route

    from page.conftest import NewUser

PAGE = json.dumps({"classes": [], "next": None})
BEHIND = json.dumps({"title": "Behind", "detail": "at revision 3 here", "code": "registry_behind", "errors": []})
ASK = """async () => {
  const { service } = await import('./static/service.js');
  return service.classes().then(() => 'listed', (problem) => problem.code);
}"""


def test_the_page_asks_for_the_highest_revision_it_has_seen(new_user: NewUser) -> None:
    user = new_user()
    wanted: list[str | None] = []
    shown = iter(["7", "5", "12", "seven", None, None, "3", "3"])

    def answer(route: Route) -> None:
        wanted.append(route.request.headers.get("x-min-revision"))
        revision = next(shown)
        if len(wanted) == 6:
            route.fulfill(status=503, body=BEHIND, content_type="application/problem+json")
        else:
            headers = {} if revision is None else {"X-Registry-Revision": revision}
            route.fulfill(body=PAGE, content_type="application/json", headers=headers)

    user.page.route("**/support*", answer)
    told = [user.page.evaluate(ASK) for _ in range(8)]

    assert told == [*["listed"] * 5, "registry_behind", "listed", "listed"]
    assert wanted == ["0", "7", "7", "12", "12", "12", None, "3"]

"""GitHub as far as this project uses it, on loopback: it remembers what was written, pages, counts, and fails where a test says so.

``with serve() as fake:`` gives the state; ``fake.url`` is what goes into GITHUB_API_URL, ``fake.requests`` is what was asked. Artifacts lie
on a second port, as GitHub's lie on another host. ``python -m tests.fakes.github`` serves until it is ended.
"""

from tests.fakes.github.server import serve
from tests.fakes.github.state import Fault, GitHubState, Seen

__all__ = ["Fault", "GitHubState", "Seen", "serve"]

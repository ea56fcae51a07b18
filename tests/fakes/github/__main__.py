"""Serve an empty GitHub for act and for hands: ``python -m tests.fakes.github [OWNER/NAME [TOKEN]]`` prints its address."""

from __future__ import annotations

import sys
import threading

from tests.fakes.github import GitHubState, serve

if __name__ == "__main__":
    with serve(GitHubState(*sys.argv[1:3])) as fake:
        sys.stdout.write(f"{fake.url}\n")
        sys.stdout.flush()
        threading.Event().wait()

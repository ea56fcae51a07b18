"""Package: publish reports and reviews on GitHub. Each text starts with the verdict; publishing again changes nothing."""

from pipeline.publish import check, comment, foreign, issue, site, summary, webhook
from pipeline.publish.foreign import Head
from pipeline.publish.message import Message, WorkflowRun, with_pictures

__all__ = [
    "Head",
    "Message",
    "WorkflowRun",
    "check",
    "comment",
    "foreign",
    "issue",
    "site",
    "summary",
    "webhook",
    "with_pictures",
]

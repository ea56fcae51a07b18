"""Room: what people see on GitHub. The first line of everything is the verdict; what GitHub keeps is never told twice."""

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

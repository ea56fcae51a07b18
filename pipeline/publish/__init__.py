"""Room: what people see on GitHub. The first line of everything is the verdict; what GitHub keeps is never told twice."""

from pipeline.publish import check, comment, issue, site, summary, webhook
from pipeline.publish.message import Message, WorkflowRun, with_pictures

__all__ = [
    "Message",
    "WorkflowRun",
    "check",
    "comment",
    "issue",
    "site",
    "summary",
    "webhook",
    "with_pictures",
]

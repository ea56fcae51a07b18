"""A public function that returns something says what it does, with an imperative verb first."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.house_rules.source import Files, Function, Violation, matches, modules

RULE = "docstrings"
EXEMPT = ("pipeline/cli/*",)  # verbs are described in the parser
NOT_FUNCTIONS = frozenset({"property", "cached_property", "setter", "overload", "override"})
VERBS = frozenset(
    re.findall(
        r"\w+",
        """
        Abort Accept Acquire Add Adjust Advance Aggregate Align Allow Annotate Answer Append Apply Arrange
        Ask Assemble Assert Assign Attach Average Await Base Bind Bound Break Bring Build Cache Calculate
        Call Cancel Carry Centre Change Check Choose Clamp Clean Clear Clip Clone Close Collapse Collect
        Combine Compare Compile Complete Compose Compress Compute Configure Confirm Connect Construct
        Consume Continue Convert Copy Correct Count Create Cut Decide Declare Decode Decompress
        Deduplicate Delegate Delete Deliver Demand Deny Deploy Derive Describe Detect Determine Disable
        Discard Dispatch Divide Download Draw Drop Dump Echo Embed Emit Enable Encode Encrypt End Enforce
        Ensure Enter Enumerate Escape Estimate Evaluate Exclude Execute Exit Expand Explain Export Express
        Extend Extract Fail Fall Fetch Fill Filter Find Finish Fit Flatten Flush Fold Follow Forget Format
        Forward Free Freeze Generate Get Give Group Guard Halve Hand Handle Hash Hide Hold Identify Ignore
        Import Include Infer Ingest Initialise Initialize Insert Inspect Install Interpolate Interrupt
        Invoke Issue Iterate Join Judge Keep Kill Label Launch Lay Leave Lend Limit Linearise Linearize
        Link List Load Locate Lock Log Look Lower Make Map Mark Match Measure Merge Migrate Mirror Mount
        Move Name Narrow Negate Normalise Normalize Note Notify Number Offer Omit Open Order Override Pack
        Pad Pair Parse Partition Pass Patch Permit Pick Place Plan Poll Pop Post Predict Prefer Prefix
        Prepare Prevent Print Probe Process Produce Project Prove Provide Prune Publish Pull Push Put
        Quantise Quantize Query Quote Raise Rank Reach Read Reap Rebuild Receive Recompute Record Recover
        Reduce Refer Refresh Refuse Register Reject Relate Relay Release Reload Remember Remove Rename
        Render Reorder Repeat Replace Replay Report Request Require Resample Reserve Reset Resolve Restore
        Retract Retry Return Reuse Reverse Rewrite Roll Round Run Sample Sanitise Sanitize Save Scale Scan
        Schedule Search See Seed Select Send Serialise Serialize Serve Set Settle Shard Share Shift
        Shorten Show Shut Sign Signal Simulate Size Skip Slice Solve Sort Spawn Split Spread Squash Stage
        Start State Step Stop Store Stream Strip Submit Subtract Suggest Sum Summarise Summarize Supply
        Support Suppress Sweep Switch Sync Synchronise Synchronize Take Tell Terminate Test Tokenise
        Tokenize Total Trace Track Transfer Transform Translate Traverse Treat Trim Truncate Try Turn Undo
        Unlock Unpack Unwrap Update Upgrade Upload Use Validate Verify Visit Wait Wake Walk Warn Watch
        Weigh Wrap Write Yield Zip
        """,
    )
)


def check(files: Files) -> Iterator[Violation]:
    """Yield each public function whose docstring is missing or does not start with a verb."""
    for path, tree in modules(files):
        if matches(path, EXEMPT):
            continue
        for node in _public(tree):
            what = _wrong(node)
            if what:
                yield Violation(
                    path,
                    node.lineno,
                    RULE,
                    f"`{node.name}` {what}",
                    'an imperative verb first, as in "Return …"',
                )


def _wrong(node: Function) -> str:
    docstring = ast.get_docstring(node)
    if docstring is None:
        return "has no docstring"
    first = re.match(r"[A-Za-z-]*", docstring)
    word = first[0] if first else ""
    return "" if word in VERBS else f"is described by {' '.join(docstring.split()[:3])!r}"


def _public(tree: ast.Module) -> Iterator[Function]:
    """Yield the functions of a module, and the methods of its public classes, that are public and return something."""
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_"))
    methods = (node for one in classes if "Protocol" not in _last_names(one.bases) for node in one.body)
    for node in (one for one in (*tree.body, *methods) if isinstance(one, Function)):
        is_public = not node.name.startswith("_") and not NOT_FUNCTIONS & _last_names(node.decorator_list)
        if is_public and _returns(node):
            yield node


def _returns(node: Function) -> bool:
    return node.returns is not None and not (
        isinstance(node.returns, ast.Constant) and node.returns.value is None
    )


def _last_names(nodes: list[ast.expr]) -> set[str]:
    """Return the last part of each dotted name: of ``functools.cached_property``, ``Protocol[T]``, ``validator("x")``."""
    return {re.sub(r"[\[(].*", "", ast.unparse(node), flags=re.DOTALL).rsplit(".", 1)[-1] for node in nodes}

"""Start a Slurm cluster of real daemons, run a command on its login node, and end everything.

``python -m tests.slurm.bed [--racks N] [--state DIR] -- COMMAND …``. The cluster lives in namespaces of its own: when
the login node's first process ends, however it ends, the kernel ends all others. Only a private bridge connects the
nodes; nothing leaves the machine. Needs root.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.slurm import configuration
from tests.slurm.configuration import LOGIN, LOGIN_ADDRESS, Node, nodes

HERE = Path(__file__).parent
PROGRAMS = ("slurmctld", "slurmd", "srun", "munged", "gcc", "ip", "unshare", "nsenter")
DEBIAN = "slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge gcc libc6-dev libslurm-dev iproute2"
OWN = ("unshare", "--net", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
PATIENCE_S = 120
STATE, RACKS = "TEST_SLURM_FOLDER", "TEST_SLURM_RACKS"  # set for the command


def main(argv: Sequence[str]) -> int:
    """Run the cluster around a command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.slurm.bed", description=__doc__)
    parser.add_argument("--racks", type=int, default=1, choices=(1, 2))
    parser.add_argument("--state", type=Path, default=Path("build/slurm"))
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(argv)
    if options.inside:
        return _inside(options.state, options.racks, options.command)
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        sys.stderr.write(f"not installed: {', '.join(missing)}; on Debian: apt-get install -y {DEBIAN}\n")
        return 2
    again = [sys.executable, "-m", "tests.slurm.bed", "--inside", "--racks", str(options.racks)]
    state = options.state.resolve()
    with subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", *OWN, *again, "--state", str(state), "--", *options.command]
    ) as process:
        signal.signal(signal.SIGTERM, lambda *_: process.kill())
        return process.wait()


def _inside(state: Path, racks: int, command: Sequence[str]) -> int:
    """Be the login node: process 1 of the cluster."""
    shutil.rmtree(state, ignore_errors=True)  # of a run that was killed: its processes ended with it
    configuration.write(state, racks)
    _network(state)
    os.environ |= {"SLURM_CONF": str(state / "slurm.conf"), STATE: str(state), RACKS: str(racks)}
    start_munge(state)
    start_controller(state)
    for node in nodes(racks):
        start_node(node)
    wait_idle(len(nodes(racks)))
    _call(
        "timeout", "30", "srun", "-p", "all", f"-N{len(nodes(racks))}", "--ntasks-per-node=1", "-t1", "true"
    )
    sys.stderr.write(f"cluster of {len(nodes(racks))} nodes is up: {state}\n")
    with subprocess.Popen(list(command)) as process:
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        code = _reap_until(process)
    _stop(state)
    return code


def _network(state: Path) -> None:
    socket.sethostname(LOGIN)
    for name in ("hosts", "resolv.conf"):
        _call("mount", "--bind", str(state / name), f"/etc/{name}")
    for group in ("all", "default"):
        Path(f"/proc/sys/net/ipv6/conf/{group}/disable_ipv6").write_text("1")
    _call("ip", "link", "set", "lo", "up")
    _call("ip", "link", "add", "br0", "type", "bridge")
    _call("ip", "address", "add", f"{LOGIN_ADDRESS}/16", "dev", "br0")
    _call("ip", "link", "set", "br0", "up")


def start_munge(state: Path) -> None:
    """Start the authentication daemon of the whole cluster."""
    at = state / "munge"
    files = [f"--{name}={at}/{name}" for name in ("key-file", "pid-file", "log-file", "seed-file")]
    files[0] = f"--key-file={at}/key"
    _call("munged", "--force", f"--socket={at}/sock", *files, "--num-threads=2")


def start_controller(state: Path) -> None:
    """Start slurmctld."""
    _call("slurmctld", "-f", str(state / "slurm.conf"))


def start_node(node: Node) -> None:
    """Start a tray in namespaces of its own and connect it to the bridge."""
    state = folder()
    log = (state / "log" / f"{node.name}.log").open("ab")
    process = subprocess.Popen(
        [*OWN, "bash", str(HERE / "node.sh"), node.name, node.address, str(state)],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    log.close()
    process.returncode = 0  # it is not waited for: process 1 of the cluster does that
    first = _first_process(process.pid)
    (state / "run" / f"{node.name}.pid").write_text(f"{process.pid} {first}")
    veth = f"v{node.name}"
    _call("ip", "link", "add", veth, "type", "veth", "peer", "name", "eth0", "netns", str(first))
    _call("ip", "link", "set", veth, "master", "br0", "up")


def kill_node(node: Node) -> None:
    """Kill a tray: its daemon and everything that runs there, at once."""
    outer, first = map(int, (folder() / "run" / f"{node.name}.pid").read_text().split())
    os.kill(first, signal.SIGKILL)
    _gone(outer)


def stop_controller() -> None:
    """End slurmctld."""
    pid = int((folder() / "run" / "slurmctld.pid").read_text())
    os.kill(pid, signal.SIGTERM)
    _gone(pid)


def _gone(pid: int) -> None:
    """Wait until a process has ended, whoever its parent is."""
    while (
        Path(f"/proc/{pid}/stat").exists()
        and Path(f"/proc/{pid}/stat").read_text().rsplit(") ")[-1][0] != "Z"
    ):
        time.sleep(0.02)


def set_link(node: Node, state: str) -> None:
    """Cut a tray's network (``down``) or restore it (``up``)."""
    _call("ip", "link", "set", f"v{node.name}", state)


def inside(node: Node, *argv: str) -> list[str]:
    """Return the command line that runs something on a tray without Slurm."""
    _, first = (folder() / "run" / f"{node.name}.pid").read_text().split()
    return ["nsenter", "--target", first, "--net", "--uts", "--mount", "--pid", *argv]


def folder() -> Path:
    """Return the folder of the running cluster."""
    return Path(os.environ[STATE])


def racks() -> int:
    """Return how many racks the running cluster has."""
    return int(os.environ[RACKS])


def wait_idle(count: int) -> None:
    """Wait until so many nodes are idle."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        listed = subprocess.run(
            ["sinfo", "-h", "-N", "-t", "idle", "-o", "%N"], capture_output=True, text=True, check=False
        ).stdout.split()
        if len(set(listed)) >= count:
            return
        time.sleep(0.25)
    raise TimeoutError(f"{len(set(listed))} of {count} nodes are idle after {PATIENCE_S} s")


def _first_process(pid: int) -> int:
    """Return the child of ``unshare``, once it is in namespaces of its own."""
    ours = Path("/proc/self/ns/net").readlink()
    for _ in range(1000):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children and Path(f"/proc/{children[0]}/ns/net").readlink() != ours:
            return int(children[0])
        time.sleep(0.01)
    raise TimeoutError(f"unshare {pid} starts nothing")


def _reap_until(process: subprocess.Popen[bytes]) -> int:
    """Wait for a child as process 1 does: daemons that ended are reaped as well."""
    while True:
        pid, status = os.wait()
        if pid == process.pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode if process.returncode >= 0 else 128 - process.returncode


def _stop(state: Path) -> None:
    """End all jobs, so that no log ends in the middle; the rest ends with this process."""
    subprocess.run(["scancel", "--me"], check=False)
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and _output("squeue", "-h", "--me"):
        time.sleep(0.2)
    shutil.rmtree(state / "spool", ignore_errors=True)


def _output(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def _call(*argv: str) -> None:
    subprocess.run(argv, check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

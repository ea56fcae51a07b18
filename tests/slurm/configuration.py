"""The files of a test cluster: slurm.conf and what stands beside it. Racks of 18 trays with 4 GPUs that are counted, not there."""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

TRAYS, GPUS, FAKE_CPUS = 18, 4, 72
LOGIN, LOGIN_ADDRESS = "login", "10.77.250.1"
HERE = Path(__file__).parent
RACKS = ("a", "b")


@dataclass(frozen=True)
class Node:
    """A compute tray: its number from 1, over all racks."""

    number: int

    @property
    def name(self) -> str:
        return f"gb{self.number:02}"

    @property
    def address(self) -> str:
        return f"10.77.0.{self.number}"

    @property
    def rack(self) -> int:
        return (self.number - 1) // TRAYS


def nodes(racks: int) -> list[Node]:
    """All trays of so many racks."""
    return [Node(number) for number in range(1, racks * TRAYS + 1)]


def write(state: Path, racks: int) -> None:
    """Write every file of a cluster below ``state`` and build the container plugin."""
    for name in ("ctl", "spool", "run", "log", "munge", "dev", "tmp", "images"):
        (state / name).mkdir(parents=True, exist_ok=True)
    (state / "munge").chmod(0o700)
    key = state / "munge" / "key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    for number in range(GPUS):
        (state / "dev" / f"nvidia{number}").symlink_to("/dev/null")  # slurmd wants character devices
    hosts = [f"{LOGIN_ADDRESS} {LOGIN}", *(f"{node.address} {node.name}" for node in nodes(racks))]
    texts = {
        "hosts": "127.0.0.1 localhost\n" + "\n".join(hosts) + "\n",
        "resolv.conf": "",
        "slurm.conf": slurm_conf(state, racks),
        "gres.conf": f"NodeName={_span(1, racks * TRAYS)} Name=gpu File={state}/dev/nvidia[0-{GPUS - 1}]\n",
        "topology.conf": topology(racks),
        "cgroup.conf": "CgroupPlugin=cgroup/v1\n",
        "plugstack.conf": f"required {state}/pyxis.so\n",
    }
    for name, text in texts.items():
        (state / name).write_text(text)
    compiler = [
        "gcc",
        "-shared",
        "-fPIC",
        "-Wall",
        "-O1",
        "-o",
        str(state / "pyxis.so"),
        str(HERE / "pyxis.c"),
    ]
    subprocess.run(compiler, check=True)


def topology(racks: int) -> str:
    """One switch a rack: an NVLink domain. A switch above them lets a job span racks, as on a real site."""
    lines = [
        f"SwitchName=nvl72{RACKS[rack]} Nodes={_span(rack * TRAYS + 1, (rack + 1) * TRAYS)}"
        for rack in range(racks)
    ]
    if racks > 1:
        lines.append("SwitchName=top Switches=" + ",".join(f"nvl72{RACKS[rack]}" for rack in range(racks)))
    return "\n".join(lines) + "\n"


def slurm_conf(state: Path, racks: int) -> str:
    """Everything of a cluster without cgroups, accounting database and services of the system."""
    user = pwd.getpwuid(os.getuid()).pw_name
    settings = {
        "ClusterName": "rackbench-test",
        "SlurmctldHost": f"{LOGIN}({LOGIN_ADDRESS})",
        "SlurmctldPort": "26817",
        "SlurmUser": user,
        "SlurmdUser": user,
        "AuthType": "auth/munge",
        "CredType": "cred/munge",
        "AuthInfo": f"socket={state}/munge/sock",
        "StateSaveLocation": f"{state}/ctl",
        "SlurmdSpoolDir": f"{state}/spool/%n",
        "SlurmdPidFile": f"{state}/run/slurmd.%n.pid",
        "SlurmdLogFile": f"{state}/log/slurmd.%n.log",
        "SlurmctldPidFile": f"{state}/run/slurmctld.pid",
        "SlurmctldLogFile": f"{state}/log/slurmctld.log",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "JobAcctGatherType": "jobacct_gather/none",
        "SwitchType": "switch/none",
        "MpiDefault": "none",
        "MailProg": "/bin/true",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_CPU",
        "GresTypes": "gpu",
        "SlurmdParameters": "config_overrides",
        "ReturnToService": "2",
        "SlurmdTimeout": "15",
        "KillWait": "5",
        "MessageTimeout": "10",
        "SchedulerParameters": "sched_interval=2,bf_interval=5",
        "TreeWidth": "64",
        "PrologFlags": "NoHold",
        "TopologyPlugin": "topology/tree",
        "PreemptType": "preempt/partition_prio",
        "PreemptMode": "REQUEUE",
        "AccountingStorageType": "accounting_storage/none",
        "JobCompType": "jobcomp/filetxt",
        "JobCompLoc": f"{state}/log/jobcomp.txt",
        "PlugStackConfig": f"{state}/plugstack.conf",
    }
    lines = [f"{name}={value}" for name, value in settings.items()]
    for rack in range(racks):
        first, last = rack * TRAYS + 1, (rack + 1) * TRAYS
        lines.append(
            f"NodeName={_span(first, last)} NodeAddr=10.77.0.[{first}-{last}] Port=26818 CPUs={FAKE_CPUS}"
            f" RealMemory=1000 Gres=gpu:{GPUS} Feature=nvl72,rack{RACKS[rack]} State=UNKNOWN"
        )
        lines.append(
            f"PartitionName=rack{RACKS[rack]} Nodes={_span(first, last)} MaxTime=12:00:00"
            f" DefaultTime=00:10:00 State=UP PriorityTier=10 Default={'NO' if rack else 'YES'}"
        )
    everywhere = f"Nodes={_span(1, racks * TRAYS)} MaxTime=12:00:00 DefaultTime=00:10:00 State=UP"
    lines.append(f"PartitionName=all {everywhere} PriorityTier=10")
    lines.append(f"PartitionName=urgent {everywhere} PriorityTier=20 PreemptMode=off GraceTime=5")
    return "\n".join(lines) + "\n"


def _span(first: int, last: int) -> str:
    return f"gb[{first:02}-{last:02}]"

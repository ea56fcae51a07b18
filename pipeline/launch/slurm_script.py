"""The batch script of a Slurm job: one step for each process, and a watch over all of them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import PurePath

from pipeline.deployment.layout import Layout
from pipeline.errors import LaunchError
from pipeline.launch import probe
from pipeline.launch.base import ATTEMPT, JOB, PROCESS, RUN, LaunchSpec
from pipeline.launch.describe import Command
from pipeline.schema.cluster import Cluster, SlurmSite
from pipeline.schema.endpoint import scratch_prefix

NOTICE_S = 120  # before the wall-clock limit, so that logs and results are complete
ADDRESS = re.compile(r"(\$\{address\[\d+\]\})")
# In the file state/ended.
PLANNED, STOPPED = "planned", "stopped"  # by the pipeline: after the measurement, or early
TIME_LIMIT, ABANDONED = "time-limit", "abandoned"
TERMINATED = "terminated"  # by Slurm: cancelled or preempted
EXITED = "exited "  # followed by the name of the process

# What runs inside of every step, in the container if there is one: a mark that the process ran, and its exit code.
# `srun` reports neither: it exits with 0 for a process that a container plugin never started.
STEP = """\
name=$1; shift
echo "${SLURMD_NODENAME:-} ${SLURM_STEP_ID:-}" >"$RACKBENCH_FOLDER/state/$name.started"
export {process}=$name
TMPDIR=$(mktemp -d "/tmp/$RACKBENCH_SCRATCH$name-XXXXXX"); export TMPDIR
trap : TERM
timeout --kill-after=$RACKBENCH_STOP_S 0 "$@" <&0 & child=$!
while kill -0 $child 2>/dev/null; do wait $child; code=$?; done
wait $child 2>/dev/null; last=$?; [ $last = 127 ] || code=$last
rm -rf "$TMPDIR"
echo ${code:-127} >"$RACKBENCH_FOLDER/state/$name.code" && mv "$RACKBENCH_FOLDER/state/$name.code" "$RACKBENCH_FOLDER/state/$name.exit"
exit ${code:-127}
""".replace("{process}", PROCESS)
START = """\
declare -A steps
start() { # name, container or "", tray, command
  local name=$1 tray=$3 inside=()
  [[ -n $2 ]] && inside=(--container-image="$2" "${container[@]}")
  shift 3
  srun --overlap --nodes=1 --ntasks=1 --nodelist="${node[$tray]}" --job-name="$name" --kill-on-bad-exit=1 \\
    --export=ALL --input=none --output="logs/$name.log" "${inside[@]}" \\
    bash -c "$step" step "$name" "$@" &
  steps[$!]=$name
}
"""
PROBE = """\
mkdir -p probe
srun --overlap --nodes=${#node[@]} --ntasks-per-node=1 --kill-on-bad-exit=1 --export=ALL --input=none \\
  --output=logs/probe.log --container-image="$engine" "${container[@]}" \\
  python3 -c "$probe" "$RACKBENCH_FOLDER/probe" {arguments} & wait $!
said=(probe/*.json)
[[ -n $ended || ${#said[@]} == "${#node[@]}" ]] || ended="exited probe"
[[ -n $ended ]] || launch
"""
WATCH = """\
watch() { # ends when the pipeline has shown no sign of life for too long
  local now seen= since=$SECONDS never
  exec {never}<> <(:)
  while :; do
    read -rt 2 -u $never # a `sleep` would outlive this
    now=$(stat -c %Y heartbeat 2>/dev/null)
    [[ $now == "$seen" ]] || { seen=$now; since=$SECONDS; }
    ((SECONDS - since < {watchdog_s})) || exit 77
  done
}
watch & watchdog=$!
while [[ -z $ended ]]; do
  wait -n -p gone; code=$?
  [[ -n $ended || -z ${gone:-} ]] && continue
  ended="exited ${steps[$gone]:-}"
  [[ $gone != "$watchdog" ]] || { ((code == 77)) && ended=abandoned || ended=terminated; }
done
echo "$ended" >state/ended
kill $watchdog 2>/dev/null
scancel --signal=TERM "$SLURM_JOB_ID" 2>/dev/null
for pid in "${!steps[@]}"; do
  while kill -0 $pid 2>/dev/null; do wait $pid; done
  [[ -e state/${steps[$pid]}.exit ]] || lost=${steps[$pid]}
done
srun --overlap --nodes=${#node[@]} --ntasks-per-node=1 --export=ALL --input=none bash -c 'rm -rf "/tmp/$RACKBENCH_SCRATCH"*'
echo "ended: $ended${lost:+, without an exit code: $lost}"
[[ $ended == planned && -z ${lost:-} ]]
"""


@dataclass(frozen=True, slots=True)
class JobNames:
    """By what a job is found: its name and comment in Slurm, and its folder."""

    name: str
    comment: str
    folder: PurePath


def names(spec: LaunchSpec, site: SlurmSite) -> JobNames:
    """Return the names of the job of one attempt; no other run, attempt or job has them."""
    prefix = scratch_prefix(spec.run_id, spec.job.id)
    return JobNames(
        name=f"{prefix}{spec.attempt}",
        comment=comment(spec.run_id, spec.job.id, spec.attempt),
        folder=PurePath(site.work_dir or "") / f"{prefix}{spec.attempt}-{spec.job.id}",
    )


def comment(run_id: str, job: str, attempt: int) -> str:
    """Return the comment of a job; no part contains a colon.

    >>> comment("26105123", "a.b", 2)
    'rackbench:26105123:a.b:2'
    """
    return f"rackbench:{run_id}:{job}:{attempt}"


def is_of(text: str, run_id: str, job: str | None) -> bool:
    """Return whether a comment is that of a job of a run, or of this job of it.

    >>> is_of(comment("a", "b", 1), "a", None), is_of(comment("a-2", "b", 1), "a", "b"), is_of("", "a", None)
    (True, False, False)
    """
    kind, run, name, *_ = [*text.split(":"), "", "", ""]
    return (kind, run) == ("rackbench", run_id) and job in (None, name)


def address(tray: int) -> str:
    """Return what the script replaces with the address of a tray of its allocation."""
    return f"${{address[{tray}]}}"


def text(
    spec: LaunchSpec, cluster: Cluster, site: SlurmSite, layout: Layout, commands: Sequence[Command]
) -> str:
    """Return the batch script; equal for equal arguments."""
    named = names(spec, site)
    watch = WATCH.replace("{watchdog_s}", str(site.watchdog_s))
    parts = [
        *_directives(spec, cluster, site, layout, named),
        "",
        *_head(spec, cluster, site, named),
        f"step={shlex.quote(STEP)}",
        f"probe={shlex.quote(probe.PROGRAM)}",
        START.rstrip(),
        "launch() {",
        *(f"  {line}" for line in _starts(commands)),
        "}",
        PROBE.replace("{arguments}", _words(probe.arguments(spec.model_path))).rstrip(),
        watch.rstrip(),
    ]
    return "\n".join(parts) + "\n"


def image(spec: LaunchSpec, cluster: Cluster) -> str:
    """Return the name of the recipe's image at this site; LaunchError where the cluster document has none."""
    found = cluster.images.get(spec.job.recipe.image)
    if found is None:
        raise LaunchError(
            f"launcher slurm needs images: no name of {spec.job.recipe.image}",
            where=f"cluster {cluster.id}",
            hint="add the image to `images` of the cluster document: a .sqsh file, or a reference for enroot",
        )
    return found


def container(spec: LaunchSpec, site: SlurmSite) -> list[str]:
    """Return the container options of a step, without the image: mounts, folder, nothing of the user's home."""
    folder, model = str(names(spec, site).folder), spec.model_path
    mounts = ",".join(dict.fromkeys([f"{folder}:{folder}", f"{model}:{model}:ro", *site.container_mounts]))
    options = [f"--container-mounts={mounts}", f"--container-workdir={folder}/work"]
    options += ["--no-container-entrypoint", "--no-container-mount-home"]
    return [*options, "--container-writable"] if site.container_writable else options


def marks(spec: LaunchSpec, site: SlurmSite) -> dict[str, str]:
    """Return the variables that every process of a job has: its run, and what its step needs."""
    named = names(spec, site)
    return {
        RUN: spec.run_id,
        JOB: spec.job.id,
        ATTEMPT: str(spec.attempt),
        "RACKBENCH_FOLDER": str(named.folder),
        "RACKBENCH_SCRATCH": scratch_prefix(spec.run_id, spec.job.id),
        "RACKBENCH_STOP_S": str(site.stop_s),
        **site.environment,
    }


def _directives(
    spec: LaunchSpec, cluster: Cluster, site: SlurmSite, layout: Layout, named: JobNames
) -> Iterator[str]:
    yield "#!/bin/bash"
    yield f"# {spec.job.id}, run {spec.run_id} attempt {spec.attempt}, on cluster {cluster.id}"
    limit_s = spec.job.recipe.limits.time_s
    options = {
        "job-name": named.name,
        "comment": named.comment,
        "account": site.account,
        "partition": site.partition,
        "nodes": layout.trays,
        "gpus-per-node": layout.gpus_per_tray if site.gpus_per_node_directive else None,
        "time": f"{limit_s // 3600:02}:{limit_s // 60 % 60:02}:{limit_s % 60:02}",
        "signal": f"B:USR1@{min(NOTICE_S, limit_s // 10)}",
        "export": "NONE",
        "chdir": named.folder,
        "output": named.folder / "logs" / "batch.log",
    }
    yield from (f"#SBATCH --{name}={value}" for name, value in options.items() if value is not None)
    yield from ("#SBATCH --exclusive", "#SBATCH --no-requeue", "#SBATCH --open-mode=append")
    yield from (f"#SBATCH {option}" for option in site.sbatch_options)
    if site.segment:
        yield f"# added where this Slurm has it: --segment={layout.trays}, else --switches=1"


def _head(spec: LaunchSpec, cluster: Cluster, site: SlurmSite, named: JobNames) -> Iterator[str]:
    yield "set -u"
    yield "umask 077"
    yield "shopt -s nullglob"
    yield f"cd {shlex.quote(str(named.folder))} || exit 90"
    ends = {"USR2": PLANNED, "HUP": STOPPED, "USR1": TIME_LIMIT, "TERM": TERMINATED}
    yield "ended="
    yield from (f"trap 'ended=${{ended:-{reason}}}' {signal}" for signal, reason in ends.items())
    variables = {**marks(spec, site), "SLURM_MPI_TYPE": "none"}
    yield from (f"export {name}={shlex.quote(value)}" for name, value in variables.items())
    yield 'mapfile -t node < <(scontrol show hostnames "$SLURM_JOB_NODELIST")'
    yield "declare -A of"
    yield "while read -r name value; do of[$name]=$value; done < <("
    fields = r"s/^NodeName=([^ ]+) .*NodeAddr=([^ ]+) .*/\1 \2/p"
    yield f"""  scontrol --oneliner show node "$SLURM_JOB_NODELIST" | sed --quiet --regexp-extended '{fields}')"""
    yield 'address=(); for name in "${node[@]}"; do address+=("${of[$name]}"); done'
    yield 'for tray in "${!node[@]}"; do echo "${node[tray]} ${address[tray]}"; done >trays.new'
    yield "mv trays.new trays"
    yield f"engine={shlex.quote(image(spec, cluster))}"
    yield f"services={shlex.quote(site.services_image or '')}"
    yield f"container=({' '.join(map(shlex.quote, container(spec, site)))})"


def _starts(commands: Sequence[Command]) -> Iterator[str]:
    """Yield a line for each process; what several processes of a role share stands in arrays before them."""
    for role in dict.fromkeys(one.role for one in commands):
        of_role = [one for one in commands if one.role == role]
        where = '"$services"' if role in ("nats", "etcd") else '"$engine"'
        if len(of_role) == 1:
            (one,) = of_role
            yield f"start {one.name} {where} {_tray(one)} env {_words([*_variables(one.env), *one.argv])}"
            continue
        shared = {
            name: value
            for name, value in of_role[0].env.items()
            if all(one.env.get(name) == value for one in of_role)
        }
        head, tail = _ends([one.argv for one in of_role])
        yield f"{role}=(env {_words(_variables(shared))})"
        yield f"{role}_head=({_words(head)})"
        yield f"{role}_tail=({_words(tail)})"
        for one in of_role:
            variables = {name: value for name, value in one.env.items() if name not in shared}
            own = one.argv[len(head) : len(one.argv) - len(tail)]
            words = [_words(_variables(variables)), f'"${{{role}_head[@]}}"', _words(own)]
            line = " ".join(filter(None, [f'"${{{role}[@]}}"', *words, f'"${{{role}_tail[@]}}"']))
            yield f"start {one.name} {where} {_tray(one)} {line}"


def _tray(one: Command) -> int:
    return int(one.tray.removeprefix("n"))


def _variables(env: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in sorted(env.items())]


def _ends(argvs: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the words with which all of these commands begin, and those with which the rest of them ends."""
    head = _common(argvs)
    if head[-1].startswith("--"):  # an option stands beside its value
        head = head[:-1]
    return head, _common([one[len(head) :][::-1] for one in argvs])[::-1]


def _words(words: Iterable[str]) -> str:
    return " ".join(map(_word, words))


def _word(word: str) -> str:
    """Return a word of a command for the shell, which replaces addresses in it and nothing else."""
    parts = ADDRESS.split(word)
    if len(parts) == 1:
        return shlex.quote(word)
    return "".join(f'"{part}"' if at % 2 else shlex.quote(part) for at, part in enumerate(parts) if part)


def _common(words: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return the words with which all of these commands begin."""
    return tuple(
        same[0] for same in takewhile(lambda column: len(set(column)) == 1, zip(*words, strict=False))
    )

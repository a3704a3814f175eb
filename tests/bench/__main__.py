"""`python -m tests.bench`: floatgate and its peers, measured in one run; docs/performance.md has the results."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from .machine import busy, raise_files, split
from .measures import MEASURES, Measure
from .peer import Peer
from .peers import PEERS
from .processes import BenchFailed
from .profiler import profile
from .report import PAGE, markdown, write
from .rounds import run
from .stage import Stage, stage
from .tools import HOME

QUICK = 1.0  # seconds of each sample with --quick


def main() -> int:
    """Exit code 1 when nothing could be measured."""
    args = _arguments()
    cores, noise = split(1), busy()
    os.sched_setaffinity(0, cores.load)  # this program is none of the proxy's neighbours
    raise_files()
    measures = [one for one in MEASURES if args.only is None or one.name in args.only]
    try:
        with stage(cores) as set_up:
            if args.profile:
                print(_profiled(set_up, args.profile, [one for one in measures if not one.apart]))
                return 0
            rounds = args.rounds or (1 if args.quick else 5)
            results = run(set_up, _wanted(args.peers), measures, rounds, QUICK if args.quick else None)
    except BenchFailed as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    text = markdown(results, _how(args.quick, rounds, noise))
    print(f"\n{text}")
    if args.write and not (args.only or args.peers):
        write(text)
        print(f"\nWritten to {PAGE}.")
    return 0


def _how(quick: bool, rounds: int, noise: float) -> str:
    length = "1 s" if quick else "2 or 3 s"
    return (
        f"medians of {rounds} rounds over all proxies in turn, {length} each; the proxy on one core, load and backends "
        f"on another; before the run other programs used {noise:.0%} of the machine"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    names = [one.name for one in MEASURES]
    peers = [one.name for one in PEERS]
    parser.add_argument("--quick", action="store_true", help="one round of short samples, under three minutes")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=names, help=f"of {', '.join(names)}")
    parser.add_argument("--peers", nargs="+", metavar="PEER", choices=peers, help=f"of {', '.join(peers)}")
    parser.add_argument("--rounds", type=int, help="samples of each measure and peer (default 5, 1 with --quick)")
    parser.add_argument("--profile", metavar="PEER", choices=peers, help="sample this proxy's stacks under the load")
    parser.add_argument("--write", action="store_true", help="put the tables of a full run into docs/performance.md")
    return parser.parse_args()


def _wanted(names: list[str] | None) -> list[Peer]:
    return [one for one in PEERS if names is None or one.name in names]


def _profiled(set_up: Stage, name: str, measures: list[Measure]) -> str:
    (peer,) = _wanted([name])
    if lack := peer.lack():
        raise BenchFailed(lack)
    set_up.start(peer)
    parts = []
    for measure in measures:
        keep = Path(HOME / f"profile-{name}-{measure.name}.txt")
        parts.append(f"{name}, {measure.title}\n\n{profile(set_up, peer, measure, 8, keep)}\n\nStacks: {keep}")
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())

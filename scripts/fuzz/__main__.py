"""Feed damaged and hostile inputs to the readers, and count what goes wrong.

    python scripts/fuzz videos --count 10000 --log videos.jsonl

A case may end well or with an error of ours. Everything else is a fault: another exception, a death of the process, a
hang of 10 s, more than 2 GB of memory, a command that runs or a connection that is opened (a canary shows both), a
file outside the output folder, a partial file that stays. A case depends on its class, the seed and its number alone.
Cases in the log are not run again, so that a run goes on where it was stopped. `--case NUMBER` runs one case in this
process, to be debugged, and `--keep FOLDER` writes its input there.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from scripts.fuzz.kinds import KINDS  # noqa: E402
from scripts.fuzz.runner import ALLOWED, Outcome, run_cases, write_case  # noqa: E402


def main() -> int:
    """Run the cases that the log lacks, and print faults and counts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--case", type=int)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    kind = KINDS[options.kind]
    if options.case is not None:
        folder = options.keep or Path("build/fuzz/case")
        folder.mkdir(parents=True, exist_ok=True)
        kind.prepare()
        name, dice = write_case(folder, options.kind, options.seed, options.case, kind.seeds())
        print(f"case {options.case}: {name} in {folder}")
        kind.read(folder, name, dice)
        return 0
    known = _logged(options.log)
    wanted = range(options.first, options.first + options.count)
    counts = Counter(known[number].what for number in wanted if number in known)
    for number in wanted:
        if number in known and known[number].what not in ALLOWED:
            print(f"case {number}: {known[number].what}: {known[number].detail}")
    for outcome in run_cases(
        options.kind, kind, options.seed, [number for number in wanted if number not in known]
    ):
        counts[outcome.what] += 1
        if options.log is not None:
            with options.log.open("a") as file:
                file.write(json.dumps([outcome.number, outcome.what, outcome.detail]) + "\n")
        if outcome.what not in ALLOWED:
            print(f"case {outcome.number}: {outcome.what}: {outcome.detail}", flush=True)
    print(
        f"{options.kind}, seed {options.seed}, cases {wanted.start} to {wanted.stop - 1}: "
        + ", ".join(f"{counts[what]} {what}" for what in sorted(counts))
    )
    return int(any(what not in ALLOWED for what in counts))


def _logged(path: Path | None) -> dict[int, Outcome]:
    lines = path.read_text().splitlines() if path is not None and path.exists() else []
    return {number: Outcome(number, what, detail) for number, what, detail in map(json.loads, lines)}


if __name__ == "__main__":
    sys.exit(main())

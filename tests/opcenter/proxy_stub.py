"""What the keeper starts in tests instead of the real gateway: writes its pid file and lives until it is told not to.

`--home <folder>`. With a file `die` in the folder it ends at once; with `deaf` it does not heed SIGTERM.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path


def main() -> None:
    home = Path(sys.argv[sys.argv.index("--home") + 1])
    with (home / "starts").open("a") as file:
        file.write("x")
    if (home / "die").exists():
        return
    if (home / "deaf").exists():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    started = Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].split()[19]
    draft = home / "pid.new"
    draft.write_text(json.dumps({"pid": os.getpid(), "started": started}))
    draft.replace(home / "pid")
    while True:
        signal.pause()


if __name__ == "__main__":
    main()

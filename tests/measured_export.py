"""A process that exports a position, and says how much memory it took for that.

`python tests/measured_export.py ACCESS_KEY FORMAT`, with the service's settings in its environment.
"""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app import create_app
from config import load


def megabytes(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise KeyError(name)


def main() -> None:
    access_key, kind = sys.argv[1:]
    client = create_app(load()).test_client()

    def export(key: str) -> tuple[int, bytes]:
        """The export's length, and its last bytes."""
        size, end = 0, b""
        answer = client.get(f"/export_interviews/{key}?format={kind}", buffered=False)
        assert answer.status_code == 200
        for piece in answer.iter_encoded():
            size, end = size + len(piece), (end + piece)[-200:]
        return size, end

    export(f"{access_key}-small")  # what is loaded with the first one is not its memory
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, began = megabytes("VmRSS"), time.perf_counter()
    size, end = export(access_key)
    print(
        json.dumps(
            {
                "bytes": size,
                "end": end.decode(errors="replace"),
                "megabytes": megabytes("VmHWM") - before,
                "seconds": time.perf_counter() - began,
            }
        )
    )


if __name__ == "__main__":
    main()

"""Measured: the fold on quixstreams. `python -m … BOOTSTRAP TOPIC GROUP STATE_FOLDER COUNT`.

It runs where quixstreams is installed, which is not where Annul is: it imports the fold alone.
"""

import json
import sys
import time

from quixstreams import Application, State

from workers.bench.sellers.fold import Counts, decode, fold, pack, unpack


class Table:
    """The fold, and when it began."""

    def __init__(self) -> None:
        self.started = self.began_cpu = 0.0

    def update(self, value: bytes, state: State) -> None:
        """Fold one record into the state of its key."""
        if not self.started:
            self.started, self.began_cpu = time.monotonic(), time.process_time()
        packed = state.get_bytes("counts")
        state.set_bytes("counts", pack(fold(unpack(packed) if packed else Counts(), decode(value))))


def main() -> None:
    """Measure: from the first record in hand until all are folded and committed."""
    bootstrap, name, group, folder, count = sys.argv[1:]
    app = Application(
        broker_address=bootstrap,
        consumer_group=group,
        auto_offset_reset="earliest",
        state_dir=folder,
        loglevel=None,
    )
    table = Table()
    topic = app.topic(name, key_deserializer="bytes", value_deserializer="bytes")
    app.dataframe(topic).update(table.update, stateful=True)
    app.run(count=int(count), collect=False)  # commits what is left, then ends
    measured = {"seconds": time.monotonic() - table.started, "cpu_s": time.process_time() - table.began_cpu}
    sys.stdout.write(json.dumps(measured) + "\n")


if __name__ == "__main__":
    main()

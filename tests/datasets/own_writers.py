"""Writers in processes of their own: one that holds its lock until it is killed, one whose disk fills up."""

import resource
import signal
import time

from wheatstone.datasets.writer import DatasetWriter
from wheatstone.errors import OutputError

from .samples import synthetic_sample


def holding(connection, folder):
    """Open a writer, say so, and wait to be killed."""
    writer = DatasetWriter(folder, {})
    connection.send("open")
    time.sleep(60)
    writer.finish()


def filling(connection, folder):
    """Write until the system takes only a part of a line; say whether that part was cut off again."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with DatasetWriter(folder, {}) as writer:
        writer.write(synthetic_sample("a"))
        size = (writer.out / "manifest.jsonl").stat().st_size
        # the manifest may grow by less than a line: the system writes a part of it and refuses the rest
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, size + 100))
        try:
            writer._append({"key": "b", "filler": "x" * 500})
        except OutputError:
            connection.send(size == (writer.out / "manifest.jsonl").stat().st_size)

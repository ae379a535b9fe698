"""A small store and run archives that the program wrote before its files moved into rooms (commit ebb49ea).

    train sinc --method layerwise --density 0.4 --max-steps 60 --theta 0
    train spirals --method global --density 0.3 --max-steps 40 --theta 0
    train sinc --method dense --max-steps 30 --theta 0
    sweep sinc --methods global,layerwise --densities 1,0.5 --seeds 0 --max-steps 20 --theta 0

The run on spirals has a name, a note and a pin; the first three runs were exported.
"""

import lzma
from pathlib import Path

FOLDER = Path(__file__).parent / "data" / "before"
SINC, SPIRALS, DENSE, SWEEP = "9p4m9yaj", "wfm47h3k", "5m4kdp6w", "st826qp6"
ARCHIVES = {"sinc": SINC, "spirals": SPIRALS, "dense": DENSE}


def older_home(folder: Path) -> Path:
    """The home folder of that store, made at `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "store.sqlite3").write_bytes(lzma.decompress((FOLDER / "store.sqlite3.xz").read_bytes()))
    return folder


def older_archive(name: str) -> bytes:
    """One of `ARCHIVES`."""
    return lzma.decompress((FOLDER / f"{name}.sparsecore.xz").read_bytes())

"""Coverage-guided fuzzing: whatever the bytes, a model loads or a SurgeonError says why.

    pip install atheris
    python tests/hostile/fuzz.py [CORPUS_DIR] [-max_total_time=1200] [-rss_limit_mb=1024] [other libFuzzer flags]

Each input is loaded, checked, saved unchanged (the bytes must be the same) and written anew (twice, the second time
must be the same). Inputs that end otherwise, take longer than a second, or 64 MB of memory more than any before them,
are written into tests/hostile/regressions/, one for each place in the code, where the suite replays them from then on.
libFuzzer's own report counts the inputs ("Done 123 runs"). Seeds are the fixtures and the small models that the tests
build; CORPUS_DIR keeps what reaches new code from run to run. Half of the changes know the format (those of mutate.py),
half are libFuzzer's.

Atheris is no requirement of the test suite: it has no wheels for every Python that the suite runs on.
"""

from __future__ import annotations

import hashlib
import random
import resource
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import atheris

with atheris.instrument_imports(include=["tflite_surgeon"]):
    import tflite_surgeon as ts
    from tests.hostile import mutate

    ts.loads(mutate.bases()[0].raw)  # What the package imports on first use is to be instrumented too.
    mutate.examine(mutate.bases()[0].raw)

REGRESSIONS = Path(__file__).resolve().parent / "regressions"
SECONDS = 1.0
MEGABYTES = 64

_seen: set[str] = set()


def test_one_input(data: bytes) -> None:
    start, before = time.thread_time(), peak()
    try:
        mutate.examine(data)
    except Exception as error:
        places = traceback.extract_tb(error.__traceback__)[-2:]
        keep(data, f"{type(error).__name__} {[(place.name, place.lineno) for place in places]}", error)
        return
    if time.thread_time() - start > SECONDS:
        keep(data, f"slow {len(data).bit_length()}", TimeoutError(f"{time.thread_time() - start:.1f} s"))
    if peak() - before > MEGABYTES:
        keep(data, f"memory {len(data).bit_length()}", MemoryError(f"{peak() - before:.0f} MB"))


def peak() -> float:
    """The most memory that the process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def keep(data: bytes, kind: str, error: Exception) -> None:
    """Write an input that must not be forgotten, the first of its kind, and go on."""
    if kind in _seen:
        return
    _seen.add(kind)
    REGRESSIONS.mkdir(exist_ok=True)
    path = REGRESSIONS / f"{type(error).__name__.lower()}-{hashlib.sha256(data).hexdigest()[:12]}.tflite"
    path.write_bytes(data)
    print(f"FOUND {path.name}: {kind}", flush=True)
    traceback.print_exception(type(error), error, error.__traceback__)


def change(data: bytes, max_size: int, seed: int) -> bytes:
    """A changed input: by what mutate.py knows of the format where it can be walked, by libFuzzer else."""
    dice = random.Random(seed)
    if dice.random() < 0.5:
        try:
            ts.loads(data)  # What the package refuses as out of proportion would take the plain walk forever.
            base = mutate.dissect("input", data)
            weights = [weight for weight, _ in mutate.DAMAGES]
            changed = bytearray(data)
            for damage in dice.choices([damage for _, damage in mutate.DAMAGES], weights, k=dice.choice((1, 1, 2, 3))):
                damage(changed, base, [base], dice)
            if len(changed) <= max_size:
                return bytes(changed)
        except Exception:  # Damaged beyond what a plain walk can follow.
            pass
    return bytes(atheris.Mutate(data, max_size))


def main() -> None:
    seeds = tempfile.mkdtemp(prefix="surgeon-seeds-")
    for base in mutate.bases():
        (Path(seeds) / base.name.replace("/", "_")).write_bytes(base.raw)
    flags = [item for item in sys.argv[1:] if item.startswith("-")]
    folders = [item for item in sys.argv[1:] if not item.startswith("-")] or [
        tempfile.mkdtemp(prefix="surgeon-corpus-")
    ]
    atheris.Setup(
        [sys.argv[0], "-max_len=65536", "-timeout=60", *flags, *folders, seeds], test_one_input, custom_mutator=change
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()

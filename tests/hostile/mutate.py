"""Damaged models by the thousand: whatever the bytes, a model loads or a SurgeonError says why.

    python tests/hostile/mutate.py --count 200000 [--models DIR] [--seed 0] [--jobs 2] [--keep DIR]

Damage knows the format: it hits vtables, offsets, counts, union tags and scalars, retargets offsets to other tables,
cuts, repeats and moves pieces, and joins two files. A variant is made from (seed, number) alone.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import tflite_surgeon as ts
from tests.flatbuffer import samples
from tests.flatbuffer.walk import unsigned, vtable_of, walk
from tflite_surgeon.flatbuffer import schema

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
LARGEST = 100_000  # Bytes of a model of a collection that is damaged: more would only slow the others down.
SECONDS = 20.0  # A variant that takes longer is a fault.


class Base(NamedTuple):
    """A sound model, and where its structure lies.

    offsets: (place, target) of each offset field; counts: of vectors; vtables: of tables; tags: one byte each;
    scalars: (place, size).
    """

    name: str
    raw: bytes
    offsets: list[tuple[int, int]]
    counts: list[int]
    tables: list[int]
    vtables: list[int]
    tags: list[int]
    scalars: list[tuple[int, int]]


def dissect(name: str, raw: bytes) -> Base:
    base = Base(name, raw, [(0, unsigned(raw, 0))], [], [], [], [], [])
    for spot in walk(raw):
        base.tables.append(spot.at)
        base.vtables.append(vtable_of(raw, spot.at))
        if spot.field.kind == "tag":
            base.tags.append(spot.place)
        elif spot.field.kind == "scalar":
            base.scalars.append((spot.place, schema.size_of(spot.field.format)))
        else:
            base.offsets.append((spot.place, spot.target))
            if spot.field.kind not in ("table", "union"):
                base.counts.append(spot.target)
            if spot.field.kind == "tables":
                entries = range(spot.target + 4, spot.target + 4 + 4 * unsigned(raw, spot.target), 4)
                base.offsets.extend((entry, entry + unsigned(raw, entry)) for entry in entries)
    for places in base[3:]:
        places[:] = sorted(set(places))
    return base


def bases(models: Path | None = None) -> list[Base]:
    """The models to damage: those that the tests build, the fixtures, and small ones of a collection."""
    found = [dissect(name, ts.dumps(build())) for name, build in samples.BUILDERS.items()]
    found += [dissect(f"every-table-{seed}", ts.dumps(samples.every_table(seed))) for seed in range(2)]
    found.append(dissect("newer", samples.newer_tensor()))
    found += [dissect(path.name, path.read_bytes()) for path in sorted(FIXTURES.glob("*.tflite"))]
    if models is not None:
        rows = [json.loads(line) for line in (models / "manifest.jsonl").read_text().splitlines()]
        for row in sorted(rows, key=lambda row: str(row["file"])):
            if row["size"] <= LARGEST:
                raw = (models / row["file"]).read_bytes()
                try:
                    ts.loads(raw)
                except ts.SurgeonError:
                    continue  # Damaged as it comes.
                found.append(dissect(row["file"], raw))
    return found


# Damage

Bytes = bytearray
ODD = (0, 1, 2, 3, 4, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def write(raw: Bytes, at: int, value: int, size: int) -> None:
    if 0 <= at <= len(raw) - size:
        raw[at : at + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")


def odd(dice: random.Random, base: Base) -> int:
    """A value that is at the edge of something."""
    return dice.choice((*ODD, len(base.raw), len(base.raw) - 4, -4, -1, dice.getrandbits(32), dice.randrange(64)))


def flip(raw: Bytes, at: int, dice: random.Random) -> None:
    if 0 <= at < len(raw):
        raw[at] ^= 1 << dice.randrange(8)


def damage_vtable(raw: Bytes, base: Base, others: Sequence[Base], dice: random.Random) -> None:
    vtable = dice.choice(base.vtables)
    entries = unsigned(base.raw, vtable, 2) // 2
    at = vtable + 2 * dice.randrange(entries + 1)
    if dice.random() < 0.5:
        write(raw, at, odd(dice, base), 2)
    elif dice.random() < 0.5:
        write(raw, at, unsigned(base.raw, vtable + 2 * dice.randrange(entries), 2), 2)
    else:
        flip(raw, at + dice.randrange(2), dice)


def damage_table(raw: Bytes, base: Base, others: Sequence[Base], dice: random.Random) -> None:
    """Give a table another vtable: a foreign one, or what is none."""
    at = dice.choice(base.tables)
    vtable = dice.choice(base.vtables) if dice.random() < 0.7 else dice.randrange(len(base.raw))
    write(raw, at, at - vtable if dice.random() < 0.9 else odd(dice, base), 4)


def damage_offset(raw: Bytes, base: Base, others: Sequence[Base], dice: random.Random) -> None:
    place, target = dice.choice(base.offsets)
    kind = dice.randrange(4)
    if kind == 0:
        write(raw, place, odd(dice, base), 4)
    elif kind == 1:  # To where another field points: tables of the wrong kind, vectors read as tables.
        write(raw, place, dice.choice(base.offsets)[1] - place, 4)
    elif kind == 2:
        write(raw, place, target - place + dice.choice((-8, -4, -2, -1, 1, 2, 4, 8)), 4)
    else:
        flip(raw, place + dice.randrange(4), dice)


def damage_count(raw: Bytes, base: Base, others: Sequence[Base], dice: random.Random) -> None:
    if base.counts:
        at = dice.choice(base.counts)
        near = unsigned(base.raw, at) + dice.choice((-1, 1, 2, 100, 10_000))
        write(raw, at, near if dice.random() < 0.5 else odd(dice, base), 4)


def damage_tag(raw: Bytes, base: Base, others: Sequence[Base], dice: random.Random) -> None:
    if base.tags:
        write(raw, dice.choice(base.tags), dice.choice((0, 1, 2, 3, 22, 126, 127, 200, 255, dice.randrange(130))), 1)


def damage_scalar(raw: Bytes, base: Base, others: Sequence[Base], dice: random.Random) -> None:
    if base.scalars:
        at, size = dice.choice(base.scalars)
        write(raw, at, odd(dice, base) if dice.random() < 0.7 else dice.getrandbits(64), size)


def damage_content(raw: Bytes, base: Base, others: Sequence[Base], dice: random.Random) -> None:
    """The elements of vectors: indices, shapes, scales, names."""
    if base.counts:
        start = dice.choice(base.counts) + 4
        size = dice.choice((1, 4, 8))
        value = dice.choice((odd(dice, base), 0x7FC00000, 0xFF800000, 0x7F7FFFFF, dice.getrandbits(64)))
        write(raw, start + size * dice.randrange(4), value, size)


def damage_anything(raw: Bytes, base: Base, others: Sequence[Base], dice: random.Random) -> None:
    for _ in range(dice.choice((1, 1, 2, 8))):
        flip(raw, dice.randrange(max(1, len(raw))), dice)


def truncate(raw: Bytes, base: Base, others: Sequence[Base], dice: random.Random) -> None:
    at = dice.choice(base.counts + base.tables) if dice.random() < 0.5 else dice.randrange(len(base.raw) + 1)
    del raw[at + dice.randrange(6) :]


def repeat(raw: Bytes, base: Base, others: Sequence[Base], dice: random.Random) -> None:
    """Insert, remove or move a piece: everything behind it comes to lie elsewhere."""
    start = dice.randrange(len(raw) + 1)
    piece = raw[start : start + dice.choice((1, 2, 4, 8, 16, 100))]
    at = dice.randrange(len(raw) + 1)
    kind = dice.randrange(3)
    if kind == 0:
        raw[at:at] = piece
    elif kind == 1:
        del raw[start : start + len(piece)]
    else:
        raw[at : at + len(piece)] = piece


def join(raw: Bytes, base: Base, others: Sequence[Base], dice: random.Random) -> None:
    """The head of one file and the tail of another, or a piece of the other in the middle."""
    other = dice.choice(others).raw
    at = dice.randrange(min(len(raw), len(other)) + 1)
    if dice.random() < 0.5:
        raw[at:] = other[at:]
    else:
        size = dice.choice((4, 16, 64, 500))
        raw[at : at + size] = other[at : at + size]


def extend(raw: Bytes, base: Base, others: Sequence[Base], dice: random.Random) -> None:
    """Something behind the model: zeros, half a zip, another model."""
    tail = dice.choice((bytes(16), b"PK\5\6" + bytes(18), b"PK\5\6" + dice.randbytes(18), dice.choice(others).raw))
    raw += tail


DAMAGES: tuple[tuple[int, Callable[[Bytes, Base, Sequence[Base], random.Random], None]], ...] = (
    (4, damage_vtable),
    (2, damage_table),
    (4, damage_offset),
    (3, damage_count),
    (2, damage_tag),
    (3, damage_scalar),
    (4, damage_content),
    (1, damage_anything),
    (1, truncate),
    (1, repeat),
    (1, join),
    (1, extend),
)


def variant(found: Sequence[Base], seed: int, number: int) -> tuple[str, bytes]:
    """(what was damaged how, the bytes) of a variant."""
    dice = random.Random(f"{seed}-{number}")
    base = dice.choice(found)
    raw = bytearray(base.raw)
    weights = [weight for weight, _ in DAMAGES]
    done = dice.choices([damage for _, damage in DAMAGES], weights, k=dice.choice((1, 1, 1, 2, 3, 6)))
    for damage in done:
        if raw:
            damage(raw, base, found, dice)
    return f"{base.name}: {', '.join(damage.__name__ for damage in done)}", bytes(raw)


# Judgement


def examine(data: bytes) -> str:
    """What becomes of a file: "refused", or "loaded" with what could be done with it; any exception but SurgeonError
    is a fault and passes through.

    Raises:
        AssertionError: it loads and does not come back as it was.
    """
    try:
        model = ts.loads(data)
    except ts.SurgeonError as error:
        require_words(error)
        return "refused"
    result = ["loaded"]
    result.append(attempt(lambda: bool(ts.check(model)), "checked"))
    result.append(attempt(lambda: unchanged(model, data), "the same"))
    result.append(attempt(lambda: rewritten(model), "rewritten"))
    repr(model.copy())
    return ", ".join(filter(None, result))


def attempt(action: Callable[[], object], name: str) -> str:
    try:
        action()
    except ts.SaveError as error:  # Of what the package itself wrote, in memory.
        raise AssertionError(f"a proof failed: {error}") from error
    except ts.SurgeonError as error:
        require_words(error)
        return ""
    return name


def require_words(error: ts.SurgeonError) -> None:
    if not str(error):
        raise AssertionError("an error without words")


def unchanged(model: ts.Model, data: bytes) -> None:
    written = ts.dumps(model)
    if model.source is not None and written != data:
        raise AssertionError("a model that was not changed was not saved as it was")


def rewritten(model: ts.Model) -> None:
    first = ts.dumps(model, "reencode")
    assert ts.dumps(ts.loads(first), "reencode") == first, "written anew twice is not the same"


class Fault(NamedTuple):
    number: int
    what: str
    error: str
    trace: str


class Tally(NamedTuple):
    results: Counter[str]
    faults: list[Fault]
    slowest: list[tuple[float, int, str]]


def run(found: Sequence[Base], seed: int, numbers: range, keep: Path | None = None) -> Tally:
    """Make and judge variants, in this process."""
    tally = Tally(Counter(), [], [])

    def too_slow(*_: Any) -> None:
        raise TimeoutError(f"not done after {SECONDS:g} s")

    previous = signal.signal(signal.SIGALRM, too_slow)
    try:
        for number in numbers:
            what, data = variant(found, seed, number)
            start = time.perf_counter()
            signal.setitimer(signal.ITIMER_REAL, SECONDS)
            try:
                tally.results[examine(data)] += 1
            except Exception as error:
                trace = traceback.format_exc()
                tally.faults.append(Fault(number, what, f"{type(error).__name__}: {error}"[:300], trace))
                if keep is not None:
                    (keep / f"{seed}-{number}.tflite").write_bytes(data)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            tally.slowest.append((time.perf_counter() - start, number, what))
            if len(tally.slowest) > 1000:
                tally.slowest[:] = sorted(tally.slowest, reverse=True)[:5]
    finally:
        signal.signal(signal.SIGALRM, previous)
    tally.slowest[:] = sorted(tally.slowest, reverse=True)[:5]
    return tally


_FOUND: list[Base] = []


def _start(models: Path | None) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))  # A variant that takes all memory is a fault.
    _FOUND.extend(bases(models))


def _part(work: tuple[int, range, Path | None]) -> Tally:
    seed, numbers, keep = work
    return run(_FOUND, seed, numbers, keep)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="variants")
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", type=Path, help="a folder of models with manifest.jsonl: damage its small ones too")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", type=Path, help="write variants that are faults into this folder")
    options = parser.parse_args()
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    numbers = range(options.first, options.first + options.count)
    parts = [(options.seed, numbers[i : i + 500], options.keep) for i in range(0, len(numbers), 500)]
    results: Counter[str] = Counter()
    faults: list[Fault] = []
    slowest: list[tuple[float, int, str]] = []
    start = time.perf_counter()
    with multiprocessing.Pool(options.jobs, _start, (options.models,)) as pool:
        for tally in pool.imap_unordered(_part, parts):
            results += tally.results
            faults += tally.faults
            slowest = sorted(slowest + tally.slowest, reverse=True)[:5]
    seconds = time.perf_counter() - start
    print(f"{sum(results.values()) + len(faults)} variants in {seconds:.0f} s, seed {options.seed}")
    for result, count in results.most_common():
        print(f"{count:8} {result}")
    for duration, number, what in slowest:
        print(f"{duration:8.3f} s  number {number}, {what}")
    kinds = Counter("\n".join(fault.trace.strip().splitlines()[-3:]) for fault in faults)
    for kind, count in kinds.most_common():
        example = next(fault for fault in faults if fault.trace.strip().endswith(kind.splitlines()[-1]))
        print(f"\n{count} faults such as number {example.number}, {example.what}\n{kind}")
    print(f"{len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

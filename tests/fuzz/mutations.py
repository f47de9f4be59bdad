"""Files changed at random, from a seed: bytes, words, cuts, blocks, and numbers in texts."""

from __future__ import annotations

import random
import re
import shutil
from pathlib import Path

EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 2**64 - 1)
NUMBERS = (b"0", b"-1", b"1e308", b"nan", b"inf", b"99999999999", b"0.0000001", b"", b"x", b"[]", b"{}")


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Return a changed copy."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        if not data:
            break
        # what describes the values stands at the beginning more often than not
        place = chance.randrange(min(len(data), 2048)) if chance.random() < 0.6 else chance.randrange(len(data))
        kind = chance.randrange(8)
        if kind == 0:
            data[place] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[place] = chance.randrange(256)
        elif kind in (2, 3):
            width = chance.choice((1, 2, 4, 8))
            value = chance.choice(EXTREMES) % (1 << 8 * width)
            data[place : place + width] = value.to_bytes(width, chance.choice(("little", "big")))
        elif kind == 4:
            del data[place:]
        elif kind == 5:
            length = chance.randrange(1, 64)
            other = chance.randrange(len(data))
            data[place : place + length] = data[other : other + length]
        elif kind == 6:
            del data[place : place + chance.randrange(1, 16)]
        else:
            found = list(re.finditer(rb"-?\d+(\.\d+)?", bytes(data[:65536])))
            if found:
                number = chance.choice(found)
                data[number.start() : number.end()] = chance.choice(NUMBERS)
    return bytes(data)


def write_mutated(base: Path, folder: Path, seed: int) -> Path:
    """Write a changed copy of a file, or of a folder with one of its files changed, and return it.

    Files of a base that belong together lie in a folder of its own, and have its stem.
    """
    chance = random.Random(seed)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(base.parent, folder)
    files = sorted(each for each in folder.rglob("*") if each.is_file())
    chosen = chance.choice(files)
    chosen.chmod(0o644)
    chosen.write_bytes(mutated(chosen.read_bytes(), chance))
    return folder / base.name

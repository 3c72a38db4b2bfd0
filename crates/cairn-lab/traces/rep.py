"""Makes a .rep file of what record.c wrote: python3 rep.py RECORD OUT.rep.gz

Addresses become ids; an id is used again after its block was freed. Frees of blocks that were made before the recording are left out.
"""
import gzip
import struct
import sys

source, target = sys.argv[1:]
ids, idle, sizes, lines = {}, [], {}, []
made = live = peak = 0


def fresh():
    global made
    if idle:
        return idle.pop()
    made += 1
    return made - 1


with open(source, "rb") as file:
    data = file.read()
for letter, block, size, old in struct.iter_unpack("<4Q", data):
    if letter == ord("f"):
        if block in ids:
            name = ids.pop(block)
            lines.append(f"f {name}")
            live -= sizes.pop(name)
            idle.append(name)
        continue
    name = ids.pop(old) if letter == ord("r") and old in ids else fresh()
    lines.append(f"{chr(letter)} {name} {size}")
    live += size - sizes.get(name, 0)
    peak = max(peak, live)
    sizes[name] = size
    ids[block] = name
text = "\n".join(map(str, [peak, made, len(lines), 1])) + "\n" + "\n".join(lines) + "\n"
with open(target, "wb") as file:
    file.write(gzip.compress(text.encode(), 9, mtime=0))

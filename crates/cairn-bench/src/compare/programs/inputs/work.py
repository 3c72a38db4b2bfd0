# About a second of what Python programs do: parse and print JSON, count words, sort, join, drop.
# The last line is a checksum: it must be the same on every allocator. The argument is the number of rounds.
import json, sys, zlib

ROUNDS = int(sys.argv[1])


def record(number):
    return {
        "id": number,
        "name": f"stone {number * 2654435761 % 100003}",
        "tags": [f"tag{number % k}" for k in (3, 5, 7, 11)],
        "place": {"x": number * 0.5, "y": -number, "note": "n" * (number % 90)},
    }


def one_round(seed):
    text = json.dumps([record(seed * 7 + n) for n in range(6000)])
    records = json.loads(text)
    count = {}
    for entry in records:
        for word in entry["name"].split() + entry["tags"]:
            count[word] = count.get(word, 0) + 1
    by_place = {(e["place"]["x"], e["place"]["y"]): e for e in records}
    lines = [" ".join((e["name"], str(e["id"]), e["place"]["note"])) for e in by_place.values()]
    lines.sort()
    numbers = [[n ^ seed for n in range(k % 50)] for k in range(5000)]
    total = sum(map(sum, numbers))
    return zlib.crc32("\n".join(lines).encode()) ^ total ^ len(count)


check = 0
kept = []
for turn in range(ROUNDS):
    check ^= one_round(turn)
    kept.append({str(n): [n] * (n % 9) for n in range(4000)})
    if len(kept) > 3:
        kept.pop(0)
print(check)

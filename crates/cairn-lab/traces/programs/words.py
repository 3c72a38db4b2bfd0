import json, re
words = [w for n in range(900) for w in ("stone%d" % (n*7919 % 1009), "cairn%d" % n)]
count = {}
for w in words: count.setdefault(w[:6], []).append(w)
text = json.dumps({k: sorted(v) for k, v in count.items()})
again = json.loads(text)
print(len(re.sub(r"cairn(\d+)", r"<\1>", text)), len(again))

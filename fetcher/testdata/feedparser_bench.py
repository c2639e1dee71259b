"""Speed of Python's feedparser on the documents of BenchmarkParse: the real ones below 100 KB of TOCSIN_DATA/feeds.

Debian: apt-get install python3-feedparser. Run next to `go test -bench BenchmarkParse ./fetcher`; it prints MB/s and items/s of one core.
"""
import glob
import os
import sys
import time

try:
    import feedparser
except ImportError:
    sys.exit("feedparser is not installed: apt-get install python3-feedparser")

folder = os.environ.get("TOCSIN_DATA") or sys.exit("set TOCSIN_DATA to the folder of the test data")
docs = []
for name in sorted(glob.glob(os.path.join(folder, "feeds", "*"))):
    if os.path.isfile(name) and os.path.basename(name) != "INDEX.json" and os.path.getsize(name) < 100 << 10:
        with open(name, "rb") as f:
            docs.append(f.read())

rounds, size, items = 0, sum(map(len, docs)), 0
start = time.process_time()
while time.process_time() - start < 3:
    items = sum(len(feedparser.parse(d).entries) for d in docs)
    rounds += 1
took = (time.process_time() - start) / rounds
print(f"feedparser {feedparser.__version__}: {len(docs)} documents, {size / 1e6 / took:.2f} MB/s, {items / took:.0f} items/s")

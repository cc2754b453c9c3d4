"""Cluster points in a file larger than the memory that the process may have.

    python benchmarks/out_of_core.py --megabytes 6000 --cap 900

Writes blobs into a file, maps it, caps the anonymous memory of the process (what is not the file itself) at what it uses already
plus `--cap`, clusters, and prints sizes, memory and time, at the end as JSON. The file is deleted.
"""
import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import torch

from clusterlab.kmeans import k_means_cluster

K = 8


def status(name: str) -> float:
    "A line of Linux's /proc/self/status in MB."
    return int(next(line for line in open("/proc/self/status") if line.startswith(name)).split()[1]) / 1000


def write(path: Path, n: int, d: int, offset: float) -> torch.Tensor:
    "n points around K centres far apart, a block at a time. -> the centres"
    g = torch.Generator().manual_seed(0)
    centers = torch.randn(K, d, generator=g) * 30 + offset
    with open(path, "wb") as file:
        for start in range(0, n, 1 << 16):
            which = torch.arange(start, min(n, start + (1 << 16))) % K
            file.write((centers[which] + torch.randn(len(which), d, generator=g)).numpy().tobytes())
    return centers


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--megabytes", type=float, default=6000)
    p.add_argument("--cap", type=float, default=900, help="MB of anonymous memory beyond that of the imports")
    p.add_argument("--features", type=int, default=32)
    p.add_argument("--offset", type=float, default=0.0)
    p.add_argument("--iterations", type=int, default=5)
    p.add_argument("--folder", type=Path)
    o = p.parse_args()
    n = -(-int(o.megabytes * 1e6) // (4 * o.features))
    with tempfile.TemporaryDirectory(dir=o.folder) as folder:
        path = Path(folder) / "points.bin"
        centers = write(path, n, o.features, o.offset)
        points = torch.from_file(str(path), shared=False, size=n * o.features).view(n, o.features)
        k_means_cluster(K, points[:10_000])
        limit = int((status("VmData") + o.cap) * 1e6)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        anonymous, start = status("RssAnon"), time.perf_counter()
        centroids, labels = k_means_cluster(K, points, o.iterations, generator=torch.Generator().manual_seed(0))
        seconds, grown = time.perf_counter() - start, status("RssAnon") - anonymous
        nearest = torch.cdist(centroids.double(), centers.double()).min(1)
        recovered = len(nearest.indices.unique()) / K if nearest.values.max() < 0.1 + abs(o.offset) * 1e-6 else 0.0
        record = dict(points=n, features=o.features, file_MB=round(path.stat().st_size / 1e6), allowed_MB=o.cap, anonymous_grown_MB=round(grown), labels_MB=round(labels.numel() * 8 / 1e6),
                      seconds=round(seconds, 1), recovered=recovered)
    for name, value in record.items(): print(f"{name:20} {value}")
    print(json.dumps(record))


if __name__ == "__main__": main()

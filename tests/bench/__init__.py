"""The benchmarks: floatgate and its peers in one run, on one machine (docs/performance.md)."""

-- wrk's result as one line of JSON on standard output, after its own words.
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "bytes": %d, "us": %d, "bad": %d, "lost": %d, "p50": %d, "p99": %d}\n',
    summary.requests, summary.bytes, summary.duration, e.status,
    e.connect + e.read + e.write + e.timeout, latency:percentile(50), latency:percentile(99)))
end

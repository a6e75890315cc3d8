// How long commits took: a histogram, so that a slow disk or a large state is seen before senders feel it.

/** Upper bounds of the buckets, in seconds. */
export const commitTimeBounds: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10]

export interface CommitTimes {
  /** Commits within each bound and not within the one before; those over the last bound stand last. */
  counts: number[]
  /** Seconds of all together. */
  sum: number
}

export function noCommitTimes(): CommitTimes {
  return { counts: Array<number>(commitTimeBounds.length + 1).fill(0), sum: 0 }
}

export function addCommitTime(times: CommitTimes, seconds: number): void {
  const place = commitTimeBounds.findIndex((bound) => seconds <= bound)
  const bucket = place === -1 ? commitTimeBounds.length : place
  times.counts[bucket] = (times.counts[bucket] ?? 0) + 1
  times.sum += seconds
}

export function addCommitTimes(a: CommitTimes, b: CommitTimes): CommitTimes {
  return { counts: a.counts.map((count, bucket) => count + (b.counts[bucket] ?? 0)), sum: a.sum + b.sum }
}

// How long a key is silent after an alert: `realert`, or longer while alerts keep coming, as ElastAlert does it.

export interface Silence {
  /** Unix seconds: from here on a firing is told again. */
  until: number
  /** The silence is 2 to this power times `realert`. */
  exponent: number
}

/**
 * After an alert sent at `time`, when the silence before it ended at `until` (-Infinity for the first alert of a key).
 * With a cap, in seconds, an alert that comes within the length of that silence after its end doubles it; for each such
 * length of quiet more, it halves.
 */
export function nextSilence(
  { realert, cap }: { realert: number; cap: number | undefined },
  time: number,
  until: number,
  exponent: number,
): Silence {
  if (cap === undefined || until === Number.NEGATIVE_INFINITY) return { until: time + realert, exponent: 0 }
  let power = exponent
  let quiet = time - until
  if (quiet < realert * 2 ** power) {
    power++
  } else {
    while (power > 0 && quiet > realert * 2 ** power) {
      quiet -= realert * 2 ** power
      power--
    }
  }
  const wait = realert * 2 ** power
  return wait >= cap ? { until: time + cap, exponent: power - 1 } : { until: time + wait, exponent: power }
}

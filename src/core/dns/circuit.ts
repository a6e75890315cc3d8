// Leaves a server alone that does not answer, and looks now and then whether it does again.

export interface Circuit {
  /** Whether to ask now; `probe`: only to see whether it answers again, so nobody should wait for it. */
  next(now: number): 'ask' | 'probe' | 'skip'
  /** It has answered. Returns true when it had been left alone. */
  answered(): boolean
  /** It has not answered. Returns true when it is left alone from now on. */
  failed(now: number): boolean
}

/** Opens after `failures` in a row; then one probe every `wait` seconds. */
export function createCircuit(failures: number, wait: number): Circuit {
  let inRow = 0
  /** When the next probe goes; undefined while it answers. */
  let probeAt: number | undefined
  return {
    next(now) {
      if (probeAt === undefined) return 'ask'
      // The clock may have been set back.
      if (now < probeAt && probeAt - now <= wait) return 'skip'
      probeAt = now + wait
      return 'probe'
    },
    answered() {
      const back = probeAt !== undefined
      inRow = 0
      probeAt = undefined
      return back
    },
    failed(now) {
      if (probeAt !== undefined || ++inRow < failures) return false
      probeAt = now + wait
      return true
    },
  }
}

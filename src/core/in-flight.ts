// The back-pressure of an input: how much it has sent that is not yet safe.

export interface Window {
  /** Comes back when `amount` more may be sent: at once while the window has room. */
  add(safe: Promise<void>, amount: number): Promise<void>
  /** Comes back when everything is safe. */
  drain(): Promise<void>
}

/** `limit` is in the unit of `amount`: events, or bytes. */
export function createWindow(limit = 50_000): Window {
  let open = 0
  let wake: (() => void)[] = []
  const released = () => new Promise<void>((resolve) => wake.push(resolve))
  return {
    async add(safe, amount) {
      open += amount
      void safe.then(() => {
        open -= amount
        const waiting = wake
        wake = []
        for (const resolve of waiting) resolve()
      })
      while (open >= limit) await released()
    },
    async drain() {
      while (open > 0) await released()
    },
  }
}

// How many connections there are, in all and from each address.

export interface ConnectionSlots {
  /** Takes a place for one more connection, unless there is none left. */
  take(address: string | undefined): 'taken' | 'full' | 'full_for_address'
  release(address: string | undefined): void
}

/** Without an address (a Unix socket) a connection counts in all only. */
export function createSlots(max: number, maxPerAddress: number): ConnectionSlots {
  let total = 0
  const counts = new Map<string, number>()
  return {
    take(address) {
      if (total >= max) return 'full'
      if (address !== undefined) {
        const count = counts.get(address) ?? 0
        if (count >= maxPerAddress) return 'full_for_address'
        counts.set(address, count + 1)
      }
      total++
      return 'taken'
    },
    release(address) {
      total--
      if (address === undefined) return
      const count = (counts.get(address) ?? 0) - 1
      if (count > 0) counts.set(address, count)
      else counts.delete(address)
    },
  }
}

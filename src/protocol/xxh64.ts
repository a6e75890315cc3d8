// XXH64 with seed 0, of which zstd writes the low 32 bits as its checksum. In 32-bit halves: BigInt is too slow for it.

/** A hash that is fed piece by piece. */
export class Xxh64 {
  /** Four accumulators of 64 bits: low half, high half. */
  readonly #lanes = Int32Array.of(
    P1_LOW + P2_LOW,
    sumHigh(P1_LOW, P1_HIGH, P2_LOW, P2_HIGH),
    P2_LOW,
    P2_HIGH,
    0,
    0,
    -P1_LOW,
    ~P1_HIGH,
  )
  /** The bytes after the last whole stripe. */
  readonly #rest = Buffer.alloc(STRIPE_BYTES)
  #held = 0
  #length = 0

  /** Takes bytes[start, end). */
  update(bytes: Buffer, start: number, end: number): void {
    this.#length += end - start
    let at = start
    if (this.#held > 0) {
      const copied = bytes.copy(this.#rest, this.#held, at, Math.min(end, at + STRIPE_BYTES - this.#held))
      this.#held += copied
      at += copied
      if (this.#held < STRIPE_BYTES) return
      mixStripes(this.#lanes, this.#rest, 0, STRIPE_BYTES)
    }
    const stop = at + Math.floor((end - at) / STRIPE_BYTES) * STRIPE_BYTES
    mixStripes(this.#lanes, bytes, at, stop)
    this.#held = bytes.copy(this.#rest, 0, stop, end)
  }

  /** The low 32 bits of the hash of all that was fed. */
  low(): number {
    if (this.#length >= STRIPE_BYTES) gather(this.#lanes)
    else set(P5_LOW, P5_HIGH)
    add(this.#length | 0, Math.floor(this.#length / 2 ** 32))
    takeRest(this.#rest, this.#held)
    set(low ^ (high >>> 1), high)
    multiply(P2_LOW, P2_HIGH)
    set(low ^ ((low >>> 29) | (high << 3)), high ^ (high >>> 29))
    multiply(P3_LOW, P3_HIGH)
    return (low ^ high) >>> 0
  }
}

/** The low 32 bits of the XXH64 of bytes[start, end). */
export function xxh64Low(bytes: Buffer, start: number, end: number): number {
  const hash = new Xxh64()
  hash.update(bytes, start, end)
  return hash.low()
}

/** One lane after the other, each with its halves in variables: over twice as fast as stripe by stripe. */
function mixStripes(lanes: Int32Array, bytes: Buffer, start: number, end: number): void {
  if (start === end) return
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let lane = 0; lane < 4; lane++) {
    let laneLow = lanes[2 * lane] ?? 0
    let laneHigh = lanes[2 * lane + 1] ?? 0
    for (let at = start + 8 * lane; at < end; at += STRIPE_BYTES) {
      const wordLow = view.getInt32(at, true)
      const wordHigh = view.getInt32(at + 4, true)
      const mixedLow = Math.imul(wordLow, P2_LOW)
      const mixedHigh = productHigh(wordLow, wordHigh, P2_LOW, P2_HIGH)
      const newHigh = sumHigh(laneLow, laneHigh, mixedLow, mixedHigh)
      const newLow = (laneLow + mixedLow) | 0
      // By 31 bits to the left.
      const turnedLow = (newLow << 31) | (newHigh >>> 1)
      const turnedHigh = (newHigh << 31) | (newLow >>> 1)
      laneLow = Math.imul(turnedLow, P1_LOW)
      laneHigh = productHigh(turnedLow, turnedHigh, P1_LOW, P1_HIGH)
    }
    lanes[2 * lane] = laneLow
    lanes[2 * lane + 1] = laneHigh
  }
}

/** The number at work at the end, as two signed halves: what every function below reads and writes. */
let low = 0
let high = 0

/** Makes one number of the four lanes. */
function gather(lanes: Int32Array): void {
  let totalLow = 0
  let totalHigh = 0
  for (let lane = 0; lane < 4; lane++) {
    set(lanes[lane * 2] ?? 0, lanes[lane * 2 + 1] ?? 0)
    rotate([1, 7, 12, 18][lane] ?? 0)
    add(totalLow, totalHigh)
    totalLow = low
    totalHigh = high
  }
  for (let lane = 0; lane < 4; lane++) {
    set(lanes[lane * 2] ?? 0, lanes[lane * 2 + 1] ?? 0)
    round()
    set(low ^ totalLow, high ^ totalHigh)
    multiply(P1_LOW, P1_HIGH)
    add(P4_LOW, P4_HIGH)
    totalLow = low
    totalHigh = high
  }
}

/** Mixes in the first `length` bytes, fewer than a stripe. */
function takeRest(bytes: Buffer, length: number): void {
  let at = 0
  for (; at + 8 <= length; at += 8) {
    const hashLow = low
    const hashHigh = high
    set(bytes.readInt32LE(at), bytes.readInt32LE(at + 4))
    round()
    set(low ^ hashLow, high ^ hashHigh)
    rotate(27)
    multiply(P1_LOW, P1_HIGH)
    add(P4_LOW, P4_HIGH)
  }
  if (at + 4 <= length) {
    const hashLow = low
    const hashHigh = high
    set(bytes.readInt32LE(at), 0)
    multiply(P1_LOW, P1_HIGH)
    set(low ^ hashLow, high ^ hashHigh)
    rotate(23)
    multiply(P2_LOW, P2_HIGH)
    add(P3_LOW, P3_HIGH)
    at += 4
  }
  for (; at < length; at++) {
    const hashLow = low
    const hashHigh = high
    set(bytes[at] ?? 0, 0)
    multiply(P5_LOW, P5_HIGH)
    set(low ^ hashLow, high ^ hashHigh)
    rotate(11)
    multiply(P1_LOW, P1_HIGH)
  }
}

/** One round from an empty accumulator. */
function round(): void {
  multiply(P2_LOW, P2_HIGH)
  rotate(31)
  multiply(P1_LOW, P1_HIGH)
}

function set(newLow: number, newHigh: number): void {
  low = newLow | 0
  high = newHigh | 0
}

function add(otherLow: number, otherHigh: number): void {
  high = sumHigh(low, high, otherLow, otherHigh)
  low = (low + otherLow) | 0
}

/** By 1 to 31 bits to the left. */
function rotate(bits: number): void {
  const newHigh = (high << bits) | (low >>> (32 - bits))
  low = (low << bits) | (high >>> (32 - bits))
  high = newHigh
}

function multiply(otherLow: number, otherHigh: number): void {
  high = productHigh(low, high, otherLow, otherHigh)
  low = Math.imul(low, otherLow)
}

/** The high half of a sum; the low one is that of the low halves. */
function sumHigh(aLow: number, aHigh: number, bLow: number, bHigh: number): number {
  const carry = ((aLow + bLow) | 0) >>> 0 < aLow >>> 0 ? 1 : 0
  return (aHigh + bHigh + carry) | 0
}

/** The high half of a product; the low one is that of the low halves. No step leaves 32 bits: so all are integers. */
function productHigh(aLow: number, aHigh: number, bLow: number, bHigh: number): number {
  const a = aLow & 0xffff
  const b = aLow >>> 16
  const c = bLow & 0xffff
  const d = bLow >>> 16
  const middle = (Math.imul(b, c) + (Math.imul(a, c) >>> 16)) | 0
  const middle2 = (Math.imul(a, d) + (middle & 0xffff)) | 0
  const carry = (Math.imul(b, d) + (middle >>> 16) + (middle2 >>> 16)) | 0
  return (carry + Math.imul(aLow, bHigh) + Math.imul(aHigh, bLow)) | 0
}

const STRIPE_BYTES = 32
const P1_HIGH = 0x9e3779b1 | 0
const P1_LOW = 0x85ebca87 | 0
const P2_HIGH = 0xc2b2ae3d | 0
const P2_LOW = 0x27d4eb4f | 0
const P3_HIGH = 0x165667b1 | 0
const P3_LOW = 0x9e3779f9 | 0
const P4_HIGH = 0x85ebca77 | 0
const P4_LOW = 0xc2b2ae63 | 0
const P5_HIGH = 0x27d4eb2f | 0
const P5_LOW = 0x165667c5 | 0

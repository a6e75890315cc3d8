// XXH64 with seed 0, of which zstd writes the low 32 bits as its checksum. In 32-bit halves: BigInt is too slow for it.

/** The low 32 bits of the XXH64 of bytes[start, end). */
export function xxh64Low(bytes: Buffer, start: number, end: number): number {
  let at = start
  const length = end - start
  if (length >= 32) {
    set(P1_LOW, P1_HIGH)
    add(P2_LOW, P2_HIGH)
    lanes[0] = low
    lanes[1] = high
    lanes[2] = P2_LOW
    lanes[3] = P2_HIGH
    lanes[4] = 0
    lanes[5] = 0
    set(~P1_LOW, ~P1_HIGH)
    add(1, 0)
    lanes[6] = low
    lanes[7] = high
    for (; at + 32 <= end; at += 32) for (let lane = 0; lane < 4; lane++) mixLane(bytes, at + lane * 8, lane * 2)
    let sumLow = 0
    let sumHigh = 0
    for (let lane = 0; lane < 4; lane++) {
      set(lanes[lane * 2] ?? 0, lanes[lane * 2 + 1] ?? 0)
      rotate([1, 7, 12, 18][lane] ?? 0)
      add(sumLow, sumHigh)
      sumLow = low
      sumHigh = high
    }
    for (let lane = 0; lane < 4; lane++) {
      set(lanes[lane * 2] ?? 0, lanes[lane * 2 + 1] ?? 0)
      round()
      set(low ^ sumLow, high ^ sumHigh)
      multiply(P1_LOW, P1_HIGH)
      add(P4_LOW, P4_HIGH)
      sumLow = low
      sumHigh = high
    }
    set(sumLow, sumHigh)
  } else set(P5_LOW, P5_HIGH)
  add(length | 0, 0)
  for (; at + 8 <= end; at += 8) {
    const hashLow = low
    const hashHigh = high
    set(bytes.readInt32LE(at), bytes.readInt32LE(at + 4))
    round()
    set(low ^ hashLow, high ^ hashHigh)
    rotate(27)
    multiply(P1_LOW, P1_HIGH)
    add(P4_LOW, P4_HIGH)
  }
  if (at + 4 <= end) {
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
  for (; at < end; at++) {
    const hashLow = low
    const hashHigh = high
    set(bytes[at] ?? 0, 0)
    multiply(P5_LOW, P5_HIGH)
    set(low ^ hashLow, high ^ hashHigh)
    rotate(11)
    multiply(P1_LOW, P1_HIGH)
  }
  set(low ^ (high >>> 1), high)
  multiply(P2_LOW, P2_HIGH)
  set(low ^ ((low >>> 29) | (high << 3)), high ^ (high >>> 29))
  multiply(P3_LOW, P3_HIGH)
  return (low ^ high) >>> 0
}

/** The number at work, as two signed halves: what every function below reads and writes. */
let low = 0
let high = 0
const lanes = new Int32Array(8)

function mixLane(bytes: Buffer, at: number, lane: number): void {
  set(bytes.readInt32LE(at), bytes.readInt32LE(at + 4))
  multiply(P2_LOW, P2_HIGH)
  add(lanes[lane] ?? 0, lanes[lane + 1] ?? 0)
  rotate(31)
  multiply(P1_LOW, P1_HIGH)
  lanes[lane] = low
  lanes[lane + 1] = high
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
  const sum = (low >>> 0) + (otherLow >>> 0)
  low = sum | 0
  high = (high + otherHigh + (sum > 0xffffffff ? 1 : 0)) | 0
}

/** By 1 to 31 bits to the left. */
function rotate(bits: number): void {
  const newHigh = (high << bits) | (low >>> (32 - bits))
  low = (low << bits) | (high >>> (32 - bits))
  high = newHigh
}

function multiply(otherLow: number, otherHigh: number): void {
  const a = low & 0xffff
  const b = low >>> 16
  const c = otherLow & 0xffff
  const d = otherLow >>> 16
  const middle = b * c + ((a * c) >>> 16)
  const middle2 = a * d + (middle & 0xffff)
  const carry = b * d + Math.floor(middle / 0x10000) + Math.floor(middle2 / 0x10000)
  high = (Math.imul(high, otherLow) + Math.imul(low, otherHigh) + (carry | 0)) | 0
  low = Math.imul(low, otherLow)
}

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

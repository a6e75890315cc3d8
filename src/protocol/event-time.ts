// Fluentd's EventTime: MessagePack's extension type 0, Unix seconds and nanoseconds, both unsigned 32 bits.

export class EventTime {
  /** Unix seconds, 0 to 2^32-1. */
  readonly seconds: number
  /** 0 to 2^32-1 on the wire; a sender that counts right stays below 1e9. */
  readonly nanoseconds: number

  constructor(seconds: number, nanoseconds: number) {
    this.seconds = seconds
    this.nanoseconds = nanoseconds
  }

  /** The EventTime nearest to a time in Unix seconds. Times outside of 1970 to 2106 become the nearest end. */
  static from(timestamp: number): EventTime {
    if (!(timestamp > 0)) return new EventTime(0, 0)
    let seconds = Math.floor(timestamp)
    if (seconds > LAST_SECOND) return new EventTime(LAST_SECOND, 999_999_999)
    let nanoseconds = Math.round((timestamp - seconds) * 1e9)
    if (nanoseconds >= 1e9) {
      seconds++
      nanoseconds = 0
    }
    return new EventTime(seconds, nanoseconds)
  }

  /** Unix seconds, fractional. A double tells times of today apart to about 0.2 microseconds. */
  toSeconds(): number {
    return this.seconds + this.nanoseconds / 1e9
  }

  toJSON(): number {
    return this.toSeconds()
  }
}

/** 0xFFFFFFFE and 0xFFFFFFFF are taken: Fluent Bit's group markers. */
const LAST_SECOND = 0xfffffffd

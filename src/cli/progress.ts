// How far a finite job is: a line that is drawn over itself on a terminal, or a line now and then elsewhere.

/** Milliseconds between two looks. */
const terminalInterval = 500
const fileInterval = 5000

export interface ProgressSource {
  /** Share done, 0 to 1; undefined while no input has told of a finite job. */
  share(): number | undefined
  /** Events so far. */
  events(): Promise<number>
}

/** Draws until the returned function is called. */
export function showProgress(source: ProgressSource, stream: NodeJS.WriteStream): () => void {
  const started = performance.now()
  let drawn = false
  let busy = false
  const draw = async () => {
    const share = source.share()
    if (share === undefined || busy) return
    busy = true
    const text = progressLine(share, await source.events(), (performance.now() - started) / 1000)
    busy = false
    if (stopped) return
    stream.write(stream.isTTY ? `\r\u001b[K${text}` : `${text}\n`)
    drawn = true
  }
  let stopped = false
  const timer = setInterval(() => void draw(), stream.isTTY ? terminalInterval : fileInterval)
  timer.unref()
  return () => {
    stopped = true
    clearInterval(timer)
    if (drawn && stream.isTTY) stream.write('\r\u001b[K')
  }
}

/** `[######....]  62 %  1,200,000 events  412,000/s  0:03 left` */
export function progressLine(share: number, events: number, seconds: number): string {
  const done = Math.min(1, Math.max(0, share))
  const bar = '#'.repeat(Math.floor(done * 20)).padEnd(20, '.')
  const rate = seconds > 0 ? Math.round(events / seconds) : 0
  const left = done > 0 ? ` ${clock((seconds / done) * (1 - done))} left` : ''
  const percent = String(Math.floor(done * 100)).padStart(3)
  return `[${bar}] ${percent} %  ${grouped(events)} events  ${grouped(rate)}/s ${left}`
}

/** 1234567 as 1,234,567. */
export function grouped(count: number): string {
  // Not toLocaleString, whose tables take longer to load than the rest of a short run.
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',')
}

function clock(seconds: number): string {
  const whole = Math.round(seconds)
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  const [hours = 0, minutes = 0, rest = 0] = parts
  const tail = `${String(rest).padStart(2, '0')}`
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${tail}` : `${minutes}:${tail}`
}

// Named places where the daemon can be made to die, for the crash laboratory: FEEDOO_CRASH=<point>:<times>.

export const crashPoints = [
  'before_write',
  'after_write',
  'before_sync',
  'after_sync',
  'before_intend',
  'after_intend',
  'before_commit',
  'after_commit',
  'before_acknowledge',
  'after_acknowledge',
] as const

/** Those of inputs that remove what they have read: no other input comes by them. */
export const removalPoints = ['before_remove', 'after_remove', 'before_drop', 'after_drop'] as const

export type CrashPoint = (typeof crashPoints)[number] | (typeof removalPoints)[number]

const [wanted, times] = (process.env.FEEDOO_CRASH ?? '').split(':')
let left = Number(times ?? 1)

function dieAt(point: CrashPoint): void {
  if (point === wanted && --left <= 0) process.kill(process.pid, 'SIGKILL')
}

/** Dies here, as by `kill -9`, the so-many-th time, when the environment asks for it. */
export const crashPoint: (point: CrashPoint) => void = wanted === '' ? () => {} : dieAt

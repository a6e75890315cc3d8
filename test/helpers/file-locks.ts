// The locks that this process holds on a file, as the system knows them.
import { existsSync, readFileSync, statSync } from 'node:fs'

const table = '/proc/locks'
export const locksAreTold = existsSync(table)

export function locksOn(path: string): string[] {
  const { ino } = statSync(path)
  return readFileSync(table, 'utf8')
    .split('\n')
    .filter((line) => line.includes(` ${process.pid} `) && line.includes(`:${ino} `))
    .map((line) => line.replace(/^\d+: /, ''))
    .sort()
}

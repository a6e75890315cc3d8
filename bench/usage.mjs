// Loaded ahead of a measured process (`node --import`): at its end it writes what the whole process has used, as JSON.
import { readFileSync, writeFileSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'

const target = process.env.BENCH_USAGE

// Workers load this too; the numbers of the process hold all threads.
if (isMainThread && target !== undefined) {
  process.on('exit', () => {
    const usage = process.resourceUsage()
    writeFileSync(
      target,
      JSON.stringify({
        userSeconds: usage.userCPUTime / 1e6,
        systemSeconds: usage.systemCPUTime / 1e6,
        peakMB: peakMB(),
      }),
    )
  })
}

/** Peak resident memory. Linux counts in ru_maxrss what the parent held before exec, so its own count is taken there. */
function peakMB() {
  try {
    const status = readFileSync('/proc/self/status', 'utf8')
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
  } catch {
    return process.resourceUsage().maxRSS / 1024
  }
}

// Whether certificates can be made for a test.
import { execFileSync } from 'node:child_process'

export const hasOpenssl = (() => {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()

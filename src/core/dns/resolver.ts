// Asks name servers for the addresses of a name.
import { promises as dns } from 'node:dns'
import type { DnsAnswers } from '../action.ts'
import { systemCode } from '../errors.ts'

export interface ResolverOptions {
  /** `ip` or `ip:port`; those of the system when it is left out. */
  servers?: readonly string[] | undefined
  /** Seconds for a question. Several servers share it evenly. */
  timeout: number
}

export interface OpenResolver {
  /** Throws when there is no answer: an error with a code of node:dns, or one that says that it did not come in time. */
  readonly answers: DnsAnswers
  /** Ends the questions that are open; later ones end at once. */
  close(): void
}

/** What says that a name has no address. */
const noAddress = new Set(['ENOTFOUND', 'ENODATA'])
/** Milliseconds that c-ares waits at most before it sends a question again, or gives up. */
const longestWait = 5000

export function createResolver({ servers, timeout }: ResolverOptions): OpenResolver {
  const open = new Set<dns.Resolver>()
  /** Counts on to the next server when one does not answer: the others are asked there first. */
  let preferred = 0
  let closed = false

  /*
   * A resolver for each question. One that is kept learns how fast its servers are and then waits as little as a quarter
   * of a second, whatever it was told; it cannot take back one question; and it asks from one port.
   */
  async function askOne(name: string, server: string, milliseconds: number): Promise<string[]> {
    // It looks at its own clock too seldom to keep the time.
    const tries = Math.ceil(milliseconds / longestWait)
    const resolver = new dns.Resolver({ tries, timeout: 2 * milliseconds })
    resolver.setServers([server])
    open.add(resolver)
    let late = false
    const timer = setTimeout(() => {
      late = true
      resolver.cancel()
    }, milliseconds)
    try {
      return await resolver.resolve4(name)
    } catch (error) {
      if (noAddress.has(systemCode(error) ?? '')) return []
      throw late ? new Error(`no answer within ${milliseconds / 1000} s`) : error
    } finally {
      clearTimeout(timer)
      open.delete(resolver)
    }
  }

  return {
    async answers(name) {
      const all = servers ?? new dns.Resolver().getServers()
      const milliseconds = Math.max(1, Math.round((timeout * 1000) / all.length))
      let failure: unknown = new Error('there is no name server to ask, or no more time')
      for (let tried = 0; tried < all.length && !closed; tried++) {
        const at = preferred
        try {
          return await askOne(name, all[at % all.length] ?? '', milliseconds)
        } catch (error) {
          failure = error
          // Questions that were open at the same time move it on once.
          if (preferred === at) preferred++
        }
      }
      throw failure
    },
    close() {
      closed = true
      for (const resolver of open) resolver.cancel()
    },
  }
}

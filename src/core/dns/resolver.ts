// Asks name servers for the addresses of a name.
import { promises as dns } from 'node:dns'
import type { DnsAnswers } from '../action.ts'
import { systemCode } from '../errors.ts'

export interface ResolverOptions {
  /** `ip` or `ip:port`; those of the system when it is left out. */
  servers?: readonly string[] | undefined
  /** Seconds for a question, over all servers. */
  timeout: number
}

export interface OpenResolver {
  /** Throws an error with the code of node:dns when there is no answer. */
  readonly answers: DnsAnswers
  /** Ends the questions that are open; later ones end at once. */
  close(): void
}

/** What says that a name has no address. */
const noAddress = new Set(['ENOTFOUND', 'ENODATA'])
/** A question is sent again when no answer has come; the second wait is twice as long. */
const tries = 2
const waits = 1 + 2

export function createResolver({ servers, timeout }: ResolverOptions): OpenResolver {
  const open = new Set<dns.Resolver>()
  let closed = false

  function openOne(): dns.Resolver {
    // c-ares tries each server in turn.
    const count = servers?.length ?? Math.max(1, dns.getServers().length)
    const resolver = new dns.Resolver({ tries, timeout: Math.max(1, Math.round((timeout * 1000) / (waits * count))) })
    if (servers !== undefined) resolver.setServers(servers)
    return resolver
  }

  return {
    async answers(name) {
      if (closed) throw new Error('the action is closed')
      /*
       * One for each question. A resolver that is kept learns how fast its servers are and then waits as little as a
       * quarter of a second, whatever it was told; it cannot take back one question; and it asks from one port.
       */
      const resolver = openOne()
      open.add(resolver)
      try {
        return await resolver.resolve4(name)
      } catch (error) {
        if (noAddress.has(systemCode(error) ?? '')) return []
        throw error
      } finally {
        open.delete(resolver)
      }
    },
    close() {
      closed = true
      for (const resolver of open) resolver.cancel()
    },
  }
}

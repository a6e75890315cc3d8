// Asks the lists about addresses, and knows what each answer means.
import type { DnsAnswers } from '../action.ts'
import type { Clock } from '../clock.ts'
import { messageOf, systemCode } from '../errors.ts'
import type { Logger } from '../log.ts'
import { reversedAddress } from './address.ts'
import type { Answer, AnswerCache } from './answer-cache.ts'
import type { Circuit } from './circuit.ts'

export interface BlocklistOptions {
  domains: readonly string[]
  ask: DnsAnswers
  cache: AnswerCache
  /** One for each domain; none when every question is to be asked. */
  circuits: readonly Circuit[]
  /** Questions that are prepared at once. */
  concurrency: number
  clock: Clock
  log: Logger
  count(name: string): void
}

export interface Blocklists {
  /**
   * What the lists say of each address, in the order of the lists: from the cache, or else they are asked. Comes back when
   * each has answered or has not in time; never rejects.
   */
  look(addresses: Iterable<string>): Promise<ReadonlyMap<string, readonly Answer[]>>
}

/** Addresses of this network mean that the address is in the list. */
const listing = '127.'
/** Of these, the addresses by which lists say that they refuse to answer: to an open resolver, or to so many questions. */
const refusal = '127.255.255.'

export function createBlocklists(options: BlocklistOptions): Blocklists {
  const { domains, ask, cache, circuits, concurrency, clock, log, count } = options
  const suffixes = domains.map((domain) => `.${domain.replace(/\.$/, '')}`)
  /** Lists that the log has spoken of already. */
  const told = new Set<string>()

  /** Never rejects. */
  async function question(address: string, reversed: string, list: number): Promise<Answer> {
    let answer: Answer
    try {
      answer = meaning(await ask(reversed + suffixes[list]), list)
    } catch (error) {
      unanswered(list, systemCode(error) ?? messageOf(error))
      return undefined
    }
    if (answer === undefined) {
      unanswered(list, 'it refuses to answer')
      return undefined
    }
    if (circuits[list]?.answered()) log.info({ domain: domains[list] }, 'the list answers again')
    cache.set(address, list, answer, clock.now())
    return answer
  }

  /** Whether the address is listed; undefined for a refusal. */
  function meaning(addresses: readonly string[], list: number): Answer {
    const [first] = addresses
    if (first === undefined) return false
    if (addresses.some((address) => address.startsWith(listing) && !address.startsWith(refusal))) return true
    if (addresses.some((address) => address.startsWith(refusal))) {
      tell('refusals', list, first, 'the list refuses to answer: its questions may come from an open resolver')
      return undefined
    }
    tell('foreign_answers', list, first, 'an answer outside of 127.0.0.0/8 does not count: the resolver makes up names')
    return false
  }

  function unanswered(list: number, reason: string): void {
    count('unanswered')
    if (!circuits[list]?.failed(clock.now())) return
    count('lists_down')
    log.warn({ domain: domains[list], reason }, 'the list does not answer: it is left alone for a while')
  }

  /** Counts it, and says it once of each list. */
  function tell(counter: string, list: number, answer: string, message: string): void {
    count(counter)
    const kind = `${counter} ${list}`
    if (told.has(kind)) return
    told.add(kind)
    log.warn({ domain: domains[list], answer }, message)
  }

  /** Fills in what is missing. Answers are waited for one after the other: several of this run at once. */
  async function fill(todo: Iterator<[string, Answer[], number]>): Promise<void> {
    for (let next = todo.next(); next.done !== true; next = todo.next()) {
      const [address, answers, list] = next.value
      const step = circuits[list]?.next(clock.now()) ?? 'ask'
      if (step === 'skip') {
        count('skipped')
        continue
      }
      const answer = question(address, reversedAddress(address), list)
      if (step === 'ask') answers[list] = await answer
    }
  }

  return {
    async look(addresses) {
      const now = clock.now()
      const found = new Map<string, Answer[]>()
      for (const address of addresses) {
        if (!found.has(address)) found.set(address, cache.get(address, now))
      }
      const todo = missing(found)
      await Promise.all(Array.from({ length: concurrency }, () => fill(todo)))
      return found
    },
  }
}

/** The questions that are left, made as they are taken: a batch may need more than fit into memory. */
function* missing(found: ReadonlyMap<string, Answer[]>): Generator<[string, Answer[], number]> {
  for (const [address, answers] of found) {
    for (let list = 0; list < answers.length; list++) {
      if (answers[list] === undefined) yield [address, answers, list]
    }
  }
}

// Asks a bounded number of questions at once; equal ones are asked once.
import type { DnsAnswers } from '../action.ts'

/** `concurrency` questions are open at most; the others wait, in order. */
export function createQuestions(ask: DnsAnswers, concurrency: number): DnsAnswers {
  const open = new Map<string, Promise<readonly string[]>>()
  const waiting: (() => void)[] = []
  let free = concurrency

  async function askInTurn(name: string): Promise<readonly string[]> {
    if (free > 0) free--
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await ask(name)
    } finally {
      open.delete(name)
      // The place goes to the next one.
      const next = waiting.shift()
      if (next === undefined) free++
      else next()
    }
  }

  return (name) => {
    let question = open.get(name)
    if (question === undefined) {
      question = askInTurn(name)
      open.set(name, question)
    }
    return question
  }
}

import { describe, expect, it } from 'vitest'
import { Answers } from '../../../src/core/forward/answers.ts'

/** Owes answers whose writes end when they are told to. */
function owing() {
  const written: string[] = []
  const done: (() => void)[] = []
  const answers = new Answers(
    (bytes, isOut) => {
      written.push(bytes.toString())
      done.push(isOut)
    },
    () => {},
  )
  return { answers, written, done }
}

describe('the answers of a connection', () => {
  it('go out in their order, one after the other', () => {
    const { answers, written, done } = owing()
    const [a, b] = [answers.add(Buffer.from('a')), answers.add(Buffer.from('b'))]
    b.ready()
    expect(written).toEqual([])
    a.ready()
    expect([written, answers.isWriting]).toEqual([['a'], true])
    done[0]?.()
    expect(written).toEqual(['a', 'b'])
    done[1]?.()
    expect([answers.length, answers.isWriting]).toEqual([0, false])
  })

  it('are owed no more when they are dropped, and hold no bytes', () => {
    const { answers, written } = owing()
    const kept = answers.add(Buffer.from('a'))
    expect(kept.size).toBe(1)
    answers.drop()
    kept.ready()
    expect([answers.length, kept.size, written]).toEqual([0, 0, []])
  })
})

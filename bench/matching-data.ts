// Lists of words and lines that hold some of them, for the benches of filter_matching_list: the same for the same seed.
import { hex, int, pick, type Random, seeded } from './random.ts'

/** Characters of a line. */
export const lineLength = 130

const names = ['mail', 'update', 'secure', 'login', 'cdn', 'shop', 'bank', 'cloud', 'data', 'net', 'web', 'news', 'pay']
const ends = ['com', 'net', 'org', 'info', 'ru', 'top', 'xyz']

/** Domains, addresses, hashes and file names; a few less than `count`, for none is twice in it. */
export function wordList(count: number): string[] {
  const random = seeded(count)
  return [...new Set(Array.from({ length: count }, (_, index) => wordOf(random, index)))]
}

/** A line of a log; one in twenty holds one of the words. */
export function lineWith(random: Random, words: readonly string[]): string {
  const known = random() < 0.05 ? pick(random, words) : wordOf(random, 0)
  const start = `Nov 14 22:13:20 host${int(random, 1, 99)} sshd[${int(random, 1000, 30_000)}]: connection from `
  const line = `${start}${wordOf(random, 1)} to ${known} file=${wordOf(random, 3)} GET /index/`
  return (line + letters(random, lineLength)).slice(0, lineLength)
}

function wordOf(random: Random, index: number): string {
  switch (index % 4) {
    case 0:
      return `${pick(random, names)}${pick(random, ['', '-'])}${letters(random, int(random, 3, 8))}.${pick(random, ends)}`
    case 1:
      return `${int(random, 1, 223)}.${int(random, 0, 255)}.${int(random, 0, 255)}.${int(random, 1, 254)}`
    case 2:
      return hex(random, pick(random, ['md5', 'sha256']) === 'md5' ? 32 : 64)
    default:
      return `${pick(random, names)}_${letters(random, int(random, 3, 7))}.${pick(random, ['exe', 'dll', 'ps1', 'sh', 'js'])}`
  }
}

function letters(random: Random, count: number): string {
  let text = ''
  for (let i = 0; i < count; i++) text += String.fromCharCode(int(random, 97, 122))
  return text
}

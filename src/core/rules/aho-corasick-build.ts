// Builds the Aho-Corasick automaton of a list of words, in steps.

/**
 * States are numbered breadth first, the root 0, so that the children of one stand side by side, in order of their codes.
 *
 * A character is the class of its code unit (with ignoreCase, of its lower case): 0 for all that occur in no word.
 *
 * A word that shares its first characters with no other keeps only these as states; its rest is compared with the text
 * when they are found. That is what keeps 100,000 hashes small enough for the processor's cache.
 *
 * The first states have a row each: what comes after them for each class, failure links already followed. An entry is the
 * start of the next state's row or, past the rows, of `rows.length` + the number of the state - `rowStates`; its
 * complement (`~`, so below 0) when words end in that state or it has no row.
 */
export interface Automaton {
  /** Classes of characters: the width of a row. */
  classes: number
  /** Class of each code unit; 0 for units past its end. */
  table: Uint16Array
  rows: Int32Array
  /** States that have a row. */
  rowStates: number
  /** First child of each state, and one more: the children end where those of the next state begin. */
  firstChild: Int32Array
  /** Class on the way into each state. */
  label: Uint16Array
  /** The longest proper end of what led to the state that is a state too. */
  fail: Int32Array
  /** The state itself when a word belongs to it, or else the first such on the way along `fail`; 0 when there is none. */
  hit: Int32Array
  /** Index of the word that belongs to each state, or -1. */
  word: Int32Array
  /** The words as classes, one after the other. */
  codes: Uint16Array
  /** Where each word begins in `codes`, and one more. */
  offsets: Int32Array
  /** Characters of each word that are states. */
  prefix: Int32Array
}

type Words = Pick<Automaton, 'classes' | 'table' | 'codes' | 'offsets'>
type Trie = Pick<Automaton, 'firstChild' | 'label' | 'word' | 'prefix'> & { states: number }

/** What is done between two steps: characters, words or states; about a millisecond. */
const stepWork = 20_000
/** Entries of all rows together, of 4 bytes; the root has its row in any case. */
const maxRowEntries = 1 << 20
/** Characters of a word that are states in any case: fewer would make its rest be compared all too often. */
const minPrefix = 10
/** Characters of a word that are compared at most, so that no text costs more than this for each of its characters. */
const maxRest = 64
/** Code units there are. */
const units = 65_536

export function* buildAutomaton(list: readonly string[], ignoreCase: boolean): Generator<void, Automaton> {
  const words = yield* encode(list, ignoreCase)
  const trie = yield* growTrie(words)
  return yield* link(words, trie)
}

export function automatonBytes(automaton: Automaton): number {
  let bytes = 0
  for (const part of Object.values(automaton)) if (typeof part === 'object') bytes += part.byteLength
  return bytes
}

/** The child of `state` for a class, or 0. */
export function findChild({ firstChild, label }: Automaton, state: number, code: number): number {
  let low = firstChild[state] ?? 0
  let high = firstChild[state + 1] ?? 0
  while (high - low > 8) {
    const middle = (low + high) >> 1
    if ((label[middle] ?? 0) > code) high = middle
    else low = middle
  }
  for (; low < high; low++) if (label[low] === code) return low
  return 0
}

/** Gives each code unit its class, and turns the words into classes. */
function* encode(list: readonly string[], ignoreCase: boolean): Generator<void, Words> {
  const offsets = new Int32Array(list.length + 1)
  const table = new Uint16Array(units)
  // Small letters may be more than the capital ones were, but hardly ever are.
  let codes = new Uint16Array(list.reduce((sum, word) => sum + word.length, 0))
  let classes = 1
  let highest = 255
  let size = 0
  let work = 0
  for (const [index, item] of list.entries()) {
    const word = ignoreCase ? item.toLowerCase() : item
    if (size + word.length > codes.length) codes = resizedUint16(codes, 2 * (size + word.length))
    for (let i = 0; i < word.length; i++) {
      const unit = word.charCodeAt(i)
      // If the words hold every unit there is, the last stays in class 0, alone.
      if (table[unit] === 0 && classes < units) {
        table[unit] = classes++
        if (unit > highest) highest = unit
      }
      codes[size++] = table[unit] ?? 0
    }
    offsets[index + 1] = size
    work += word.length + 1
    if (work > stepWork) {
      work = 0
      yield
    }
  }
  if (ignoreCase) {
    highest = foldTable(table, highest)
    yield
  }
  if (size < codes.length) codes = codes.slice(0, size)
  yield
  return { classes, offsets, codes, table: table.slice(0, highest + 1) }
}

/** Puts capital letters into the classes of the small ones. Returns the highest unit that has a class. */
function foldTable(table: Uint16Array, highest: number): number {
  lowerUnits ??= Uint16Array.from({ length: units }, (_, unit) => {
    const lower = String.fromCharCode(unit).toLowerCase()
    return lower.length > 1 ? unit : lower.charCodeAt(0)
  })
  let last = highest
  for (let unit = 0; unit < units; unit++) {
    const code = table[lowerUnits[unit] ?? 0] ?? 0
    if (code === 0) continue
    table[unit] = code
    if (unit > last) last = unit
  }
  return last
}

/** The small letter of each unit, or the unit itself. Made once: it takes milliseconds. */
let lowerUnits: Uint16Array | undefined

/** Sorts the words into states: at each, the words that led there are parted by their next class. */
function* growTrie({ classes, codes, offsets }: Words): Generator<void, Trie> {
  const count = offsets.length - 1
  /** The words; those of a state are a range of it, and in the order of the list. */
  const order = new Int32Array(count).map((_, index) => index)
  const before = new Int32Array(count)
  const prefix = new Int32Array(count)
  /** The classes that follow the state at hand; for each class, first its words, then the place for the next of them. */
  const present = new Uint16Array(classes)
  const places = new Int32Array(classes)
  const nodes = newNodes()
  nodes.to[0] = count
  let states = 1
  let depth = 0
  let nextDepth = 1
  let work = 0
  for (let state = 0; state < states; state++) {
    if (state === nextDepth) {
      depth++
      nextDepth = states
    }
    const low = nodes.from[state] ?? 0
    const high = nodes.to[state] ?? 0
    nodes.firstChild[state] = states
    nodes.word[state] = -1
    work += 4
    if (high - low === 1) {
      const only = order[low] ?? 0
      const rest = (offsets[only + 1] ?? 0) - (offsets[only] ?? 0) - depth
      if (rest === 0 || (depth >= minPrefix && rest <= maxRest)) {
        nodes.word[state] = only
        prefix[only] = depth
        continue
      }
    }
    let kinds = 0
    let ended = 0
    for (let i = low; i < high; i++) {
      if (++work > stepWork) {
        work = 0
        yield
      }
      const index = order[i] ?? 0
      const at = (offsets[index] ?? 0) + depth
      before[i] = index
      if (at === offsets[index + 1]) {
        if (ended++ > 0) continue
        nodes.word[state] = index
        prefix[index] = depth
        continue
      }
      const code = codes[at] ?? 0
      if (places[code] === 0) present[kinds++] = code
      places[code] = (places[code] ?? 0) + 1
    }
    if (states + kinds >= nodes.label.length) yield* resizeNodes(nodes, 2 * (states + kinds))
    if (kinds > 1) present.subarray(0, kinds).sort()
    let place = low + ended
    for (let kind = 0; kind < kinds; kind++) {
      const code = present[kind] ?? 0
      nodes.label[states] = code
      nodes.from[states] = place
      const words = places[code] ?? 0
      places[code] = place
      place += words
      nodes.to[states++] = place
    }
    // When all words go the same way, they stand where they have to.
    for (let i = kinds > 1 || ended > 0 ? low : high; i < high; i++) {
      if (++work > stepWork) {
        work = 0
        yield
      }
      const index = before[i] ?? 0
      const at = (offsets[index] ?? 0) + depth
      if (at === offsets[index + 1]) continue
      const code = codes[at] ?? 0
      const target = places[code] ?? 0
      order[target] = index
      places[code] = target + 1
    }
    for (let kind = 0; kind < kinds; kind++) places[present[kind] ?? 0] = 0
  }
  nodes.firstChild[states] = states
  yield* resizeNodes(nodes, states + 1)
  return { firstChild: nodes.firstChild, label: nodes.label, word: nodes.word, prefix, states }
}

/** What is known of the states while they grow: as in Automaton, and the range of the words that lead to each. */
type Nodes = Record<'firstChild' | 'word' | 'from' | 'to', Int32Array> & { label: Uint16Array }

function newNodes(): Nodes {
  const array = (): Int32Array => new Int32Array(1024)
  return { firstChild: array(), word: array(), from: array(), to: array(), label: new Uint16Array(1024) }
}

/** A step for each array, for there may be millions of states. */
function* resizeNodes(nodes: Nodes, size: number): Generator<void, void> {
  nodes.firstChild = resizedInt32(nodes.firstChild, size)
  yield
  nodes.word = resizedInt32(nodes.word, size)
  yield
  nodes.label = resizedUint16(nodes.label, size)
  yield
  nodes.from = resizedInt32(nodes.from, size)
  yield
  nodes.to = resizedInt32(nodes.to, size)
  yield
}

/** Adds the failure links and the rows. A link leads to a state nearer to the root, so one pass in order is enough. */
function* link(words: Words, trie: Trie): Generator<void, Automaton> {
  const { classes } = words
  const { firstChild, label, word, prefix, states } = trie
  const rowStates = Math.min(states, Math.max(1, Math.floor(maxRowEntries / classes)))
  const rows = new Int32Array(rowStates * classes)
  const fail = new Int32Array(states)
  const hit = new Int32Array(states)
  const automaton: Automaton = { ...words, firstChild, label, word, prefix, rows, rowStates, fail, hit }
  let work = 0
  for (let state = 0; state < states; state++) {
    const failed = fail[state] ?? 0
    const row = state * classes
    if (state > 0 && state < rowStates) rows.copyWithin(row, failed * classes, (failed + 1) * classes)
    const end = firstChild[state + 1] ?? 0
    for (let child = firstChild[state] ?? 0; child < end; child++) {
      const code = label[child] ?? 0
      const target = state === 0 ? 0 : follow(automaton, failed, code)
      fail[child] = target
      hit[child] = word[child] === -1 ? (hit[target] ?? 0) : child
      if (state >= rowStates) continue
      const entry = child < rowStates ? child * classes : rows.length + child - rowStates
      rows[row + code] = child >= rowStates || hit[child] !== 0 ? ~entry : entry
    }
    work += state < rowStates ? classes : 4
    if (work > stepWork) {
      work = 0
      yield
    }
  }
  return automaton
}

/** The state that comes after `state` for a class. */
function follow(automaton: Automaton, state: number, code: number): number {
  const { classes, rows, rowStates, fail } = automaton
  let at = state
  while (at >= rowStates) {
    const child = findChild(automaton, at, code)
    if (child !== 0) return child
    at = fail[at] ?? 0
  }
  const entry = rows[at * classes + code] ?? 0
  const next = entry < 0 ? ~entry : entry
  return next < rows.length ? Math.floor(next / classes) : next - rows.length + rowStates
}

function resizedInt32(array: Int32Array, size: number): Int32Array {
  if (size < array.length) return array.slice(0, size)
  const next = new Int32Array(size)
  next.set(array)
  return next
}

function resizedUint16(array: Uint16Array, size: number): Uint16Array<ArrayBuffer> {
  if (size < array.length) return array.slice(0, size)
  const next = new Uint16Array(size)
  next.set(array)
  return next
}

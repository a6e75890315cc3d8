// Collects what is wrong: each mistake once, in the order of the files and their lines.
import { type Diagnostic, diagnosticAt } from './diagnostic.ts'
import type { Place } from './source.ts'

export class Reporter {
  readonly #diagnostics = new Map<string, Diagnostic>()

  error(place: Place, message: string, hint?: string): void {
    this.add(diagnosticAt(place, 'error', message, hint))
  }

  warn(place: Place, message: string, hint?: string): void {
    this.add(diagnosticAt(place, 'warning', message, hint))
  }

  /** A mistake that is reached by several aliases of one node is one mistake. */
  add(diagnostic: Diagnostic): void {
    const { file, line, column, severity, message } = diagnostic
    const key = JSON.stringify([file, line, column, severity, message])
    if (!this.#diagnostics.has(key)) this.#diagnostics.set(key, diagnostic)
  }

  get failed(): boolean {
    return [...this.#diagnostics.values()].some(({ severity }) => severity === 'error')
  }

  /** Sorted; `files` gives the order of the files. */
  list(files: readonly string[]): Diagnostic[] {
    const rank = new Map(files.map((file, index) => [file, index]))
    const rankOf = ({ file }: Diagnostic) => rank.get(file) ?? files.length
    return [...this.#diagnostics.values()].sort(
      (a, b) => rankOf(a) - rankOf(b) || a.line - b.line || a.column - b.column,
    )
  }
}

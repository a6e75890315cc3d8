// What the errors of the driver mean: the server is away, it does not let us in, something does not exist, it refused a query.
import { type ErrorCode, FeedooError, messageOf } from '../errors.ts'

/**
 * `away`: the same query may succeed later. `login`: user, password or permission. `missing`: a database, a table or an
 * index does not exist. `refused`: the query itself is at fault.
 */
export type FailureKind = 'away' | 'login' | 'missing' | 'refused'

export class RethinkFailure extends FeedooError {
  readonly kind: FailureKind

  constructor(kind: FailureKind, code: ErrorCode, message: string, cause?: unknown) {
    // Until somebody mends a password or a permission, nothing can be written, and no event is at fault.
    super(code, message, { cause, retriable: kind === 'away' || kind === 'login' })
    this.kind = kind
  }
}

/** The driver's names of errors that are about the query. The misspelling is the driver's. */
const queryErrors: ReadonlySet<string> = new Set([
  'ReqlLogicError',
  'ReqlNonExistanceError',
  'ReqlResourceError',
  'ReqlUserError',
  'ReqlUnknownError',
])
const loginErrors: ReadonlySet<string> = new Set(['ReqlAuthError', 'ReqlPermissionError'])
/** The driver's type of an error in the handshake that it found itself. */
const authType = 11

export function failureKind(error: unknown): FailureKind {
  if (!(error instanceof Error)) return 'refused'
  if (/^(?:Database|Table|Index) `.*` (?:does not exist|was not found)/.test(shortMessage(error))) return 'missing'
  if (loginErrors.has(error.name) || Reflect.get(error, 'type') === authType) return 'login'
  return queryErrors.has(error.name) ? 'refused' : 'away'
}

/** The first line: the driver adds the query, which may be megabytes of events. */
export function shortMessage(error: unknown): string {
  const short: unknown = error instanceof Error ? Reflect.get(error, 'msg') : undefined
  const text = typeof short === 'string' ? short : messageOf(error)
  const line = text.split('\n', 1)[0] ?? ''
  return error instanceof Error && line === '' ? error.name : line.slice(0, 500)
}

// One sender's connection: its handshake, requests in, acknowledgements out, and the limits it must keep to.
import type { Socket } from 'node:net'
import { ProtocolError } from '../../protocol/errors.ts'
import type { ForwardFrame } from '../../protocol/forward-frame.ts'
import type { ServerSecurity } from '../../protocol/handshake.ts'
import type { PushReader } from '../../protocol/push-reader.ts'
import { messageOf, systemCode } from '../errors.ts'
import { Answers } from './answers.ts'
import { type Dialect, dialectOf, messagePack, type RequestLimits } from './dialect.ts'
import { hangUp } from './hang-up.ts'
import type { Intake } from './intake.ts'
import { Patience, type PatienceLimits, tooLong } from './patience.ts'
import { quoted, senderAt } from './peer.ts'
import { beginHandshake, type ServerHandshake } from './server-handshake.ts'
import { Unconfirmed } from './unconfirmed.ts'

export interface ConnectionLimits extends PatienceLimits, RequestLimits {}

/** What the connections of a server share. */
export interface ConnectionHost {
  readonly limits: ConnectionLimits
  /** Without it there is no handshake. */
  readonly security: ServerSecurity | undefined
  readonly intake: Intake
  /** Milliseconds in which sockets were read: it stands still while they are not, so that this is no sender's fault. */
  readingTime(): number
  /** A connection is closed because of what its peer did: called once. */
  refused(connection: IncomingConnection, kind: string, message: string): void
  /** `bytes` more (or less) are held of requests that are not complete. */
  held(bytes: number): void
}

/** `handshake`: waits for PING. `open`: takes requests. `ending`: sends what it owes. `over`: nothing more happens. */
type State = 'handshake' | 'open' | 'ending' | 'over'

/** Acknowledgements that a connection may owe before it is not read any more. */
const maxOwed = 1000
/** First byte of a TLS record that begins a handshake. */
const tlsHandshake = 0x16

export class IncomingConnection {
  /** For people: address and port. */
  readonly peer: string
  readonly #socket: Socket
  readonly #host: ConnectionHost
  readonly #answers: Answers
  readonly #patience: Patience
  #state: State = 'open'
  #handshake: ServerHandshake | undefined
  /** Whose chunks these are: agents that send the same content give it the same id. */
  #sender: string
  readonly #unconfirmed: Unconfirmed
  #hasBegun = false
  #reader: PushReader | undefined
  #dialect: Dialect = messagePack
  /** Bytes told to the host as held. */
  #held = 0
  /** The peer has sent everything. */
  #hasEnded = false

  constructor(socket: Socket, peer: string, host: ConnectionHost) {
    this.#socket = socket
    this.peer = peer
    this.#host = host
    this.#sender = senderAt(socket)
    this.#unconfirmed = new Unconfirmed(host.intake)
    this.#patience = new Patience(host.limits, () => host.readingTime())
    this.#answers = new Answers(
      (bytes, done) => this.#write(bytes, done),
      () => this.#written(),
    )
    socket.on('data', (bytes) => this.#data(bytes))
    socket.on('end', () => this.#end())
    socket.on('error', (error) => this.#broken(error))
    socket.on('close', () => this.#closed())
    if (host.security === undefined) this.#readOrPause()
    else {
      this.#state = 'handshake'
      this.#handshake = beginHandshake(host.security)
      socket.write(this.#handshake.helo)
    }
  }

  /** Bytes held of a request that is not complete. */
  get held(): number {
    return this.#held
  }

  /** Reads on, or no longer, as there is room; first what was read already. */
  update(): void {
    if (this.#state !== 'open') return
    this.#take()
    this.#readOrPause()
  }

  /** Refuses a peer that took too long. `now` is performance.now(). */
  checkTime(now: number): void {
    if (this.#state === 'handshake') {
      if (this.#patience.isHandshakeLate(now)) this.refuse('handshake_timeout', 'no handshake in time')
      return
    }
    if (this.#state !== 'open') return
    const kind = this.#patience.exceeded(this.#waitsForUs())
    if (kind !== undefined) this.refuse(kind, tooLong[kind])
  }

  refuse(kind: string, message: string): void {
    if (this.#state === 'over') return
    this.destroy()
    this.#reader = undefined
    this.#tellHeld(0)
    this.#host.refused(this, kind, message)
  }

  /** Takes nothing more. */
  stop(): void {
    if (this.#state === 'handshake') this.destroy()
    else if (this.#state === 'open') {
      this.#state = 'ending'
      this.#socket.pause()
    }
  }

  /** After `stop`: ends the connection when what it owes is sent. */
  finish(): void {
    if (this.#state === 'ending' && this.#answers.length === 0) this.#hangUp()
  }

  destroy(): void {
    this.#state = 'over'
    this.#socket.destroy()
  }

  #data(bytes: Buffer): void {
    if (this.#state !== 'open' && this.#state !== 'handshake') return
    this.#patience.active()
    if (!this.#hasBegun && bytes[0] === tlsHandshake) {
      this.refuse('tls', 'a client that speaks TLS on a port without it')
      return
    }
    this.#hasBegun = true
    if (this.#handshake === undefined) this.#push(bytes)
    else this.#shakeHands(this.#handshake, bytes)
    this.update()
  }

  #push(bytes: Buffer): void {
    if (this.#reader === undefined) {
      this.#dialect = dialectOf(bytes[0] ?? 0)
      this.#reader = this.#dialect.reader(this.#host.limits)
    }
    this.#reader.push(bytes)
  }

  #shakeHands(handshake: ServerHandshake, bytes: Buffer): void {
    try {
      const outcome = handshake.push(bytes)
      if (outcome === undefined) return
      const { pong, reason, hostname, username } = outcome.verdict
      this.#socket.write(pong)
      if (reason !== undefined) {
        this.#hangUp()
        this.#host.refused(this, 'auth', username === '' ? reason : `${reason}, user ${quoted(username)}`)
        return
      }
      this.#handshake = undefined
      // Quoted, it is no address, and holds no newline.
      this.#sender = JSON.stringify(hostname)
      this.#state = 'open'
      // Who has shaken hands speaks MessagePack. What came behind PING is not lost.
      this.#reader = messagePack.reader(this.#host.limits)
      this.#reader.push(outcome.rest)
    } catch (error) {
      this.#refuseBytes(error)
    }
  }

  /** Takes the requests that are complete, as long as there is room. */
  #take(): void {
    const { intake, limits } = this.#host
    const reader = this.#reader
    if (reader !== undefined) {
      try {
        while (this.#mayRead()) {
          const bytes = reader.take()
          if (bytes === undefined) break
          this.#patience.complete()
          const frame = this.#dialect.decode(bytes, limits.forward)
          if (frame !== undefined) this.#accept(frame, bytes.length)
        }
      } catch (error) {
        this.#refuseBytes(error)
      }
      // Also when a later request is refused: those before it were good.
      intake.flush()
    }
    this.#noteIncomplete()
    if (this.#hasEnded && this.#mayRead()) this.#finishRead()
  }

  #noteIncomplete(): void {
    const pending = this.#reader?.pending ?? 0
    this.#tellHeld(pending)
    if (pending === 0) this.#patience.complete()
    else this.#patience.incomplete()
  }

  #accept(frame: ForwardFrame, bytes: number): void {
    const { chunk } = frame.option
    // It goes on, and is owed nothing. Had it missed an acknowledgement, it would come again on another connection.
    if (this.#answers.length === 0) this.#unconfirmed.confirm()
    const answer = chunk === undefined ? undefined : this.#answers.add(this.#dialect.encodeAck(chunk))
    this.#unconfirmed.add(this.#host.intake.add(frame, bytes, answer, this.#sender), chunk)
  }

  #refuseBytes(error: unknown): void {
    // Whatever hostile bytes may bring about, it ends their own connection and no other.
    this.refuse(error instanceof ProtocolError ? error.code : 'unreadable', messageOf(error))
  }

  #mayRead(): boolean {
    return this.#state === 'open' && !this.#host.intake.isFull && this.#answers.length < maxOwed
  }

  #readOrPause(): void {
    const shouldPause = !this.#mayRead()
    if (shouldPause === this.#patience.isPaused || this.#state !== 'open') return
    if (shouldPause) {
      this.#patience.pause()
      this.#socket.pause()
    } else {
      this.#patience.resume()
      this.#socket.resume()
    }
  }

  /** True while the peer waits for events of its own to be safe. */
  #waitsForUs(): boolean {
    return this.#answers.length > 0 && !this.#answers.isWriting
  }

  #write(bytes: Buffer, done: () => void): void {
    if (this.#state === 'over') return
    this.#socket.write(bytes, (error) => {
      if (error == null) done()
    })
  }

  #written(): void {
    this.#patience.active()
    if (this.#state === 'ending') this.finish()
    else if (this.#hasEnded && !this.#patience.isPaused) this.#finishRead()
    else if (this.#patience.isPaused && this.#answers.length <= maxOwed / 2) this.update()
  }

  /** The peer has sent everything: it gets what it is owed. */
  #end(): void {
    this.#hasEnded = true
    if (this.#state === 'handshake') this.destroy()
    else this.update()
  }

  #finishRead(): void {
    if (this.#state !== 'open') return
    if ((this.#reader?.pending ?? 0) > 0) this.#cut()
    else if (this.#answers.length === 0) this.#hangUp()
  }

  #cut(): void {
    this.refuse('cut', 'the connection ended inside of a request, of which nothing is taken')
  }

  #broken(error: Error): void {
    const code = systemCode(error) ?? ''
    // Bytes that are no TLS, in the middle of it.
    if (code.startsWith('ERR_SSL')) this.refuse('tls_failed', `TLS: ${error.message}`)
    else if ((this.#reader?.pending ?? 0) > 0) this.#cut()
    else this.refuse('broken', `the connection broke: ${code === '' ? error.message : code}`)
  }

  #hangUp(): void {
    this.#state = 'over'
    hangUp(this.#socket)
  }

  #closed(): void {
    this.#state = 'over'
    this.#answers.drop()
    this.#tellHeld(0)
    this.#reader = undefined
  }

  #tellHeld(bytes: number): void {
    const more = bytes - this.#held
    if (more === 0) return
    this.#held = bytes
    this.#host.held(more)
  }
}

// What the tests use of msgpack-lite, which brings no types.
declare module 'msgpack-lite' {
  export function encode(value: unknown): Buffer
  export function decode(bytes: Uint8Array): unknown
}

import { describe, expect, it } from 'vitest'
import { isRotationOf } from '../../../src/core/files/rotation.ts'

describe('isRotationOf', () => {
  it.each([
    ['/l/app.log.1', '/l/app.log', true],
    ['/l/app.log-20260131', '/l/app.log', true],
    ['/l/app.log.1.gz', '/l/app.log', true],
    ['/l/app.log.1.gz', '/l/app.log.1', true],
    ['/l/app.log.2.gz', '/l/app.log.1', true],
    ['/l/app.log.3.zst', '/l/app.log.2.gz', true],
    ['/l/app.log-20260131.gz', '/l/app.log-20260131', true],
    ['/l/app.log', '/l/app.log', false],
    ['/l/app.log', '/l/app.log.1', false],
    ['/l/other.log.1', '/l/app.log', false],
    ['/l/app.log/x', '/l/app.log', false],
    ['/m/app.log.1', '/l/app.log', false],
    ['/l/apple.gz', '/l/app.1', false],
  ])('%s of %s: %s', (path, of, expected) => {
    expect(isRotationOf(path, of)).toBe(expected)
  })
})

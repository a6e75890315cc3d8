// The version in package.json.
import { readFileSync } from 'node:fs'
import { manifest as manifestUrl } from '../core/built-files.ts'

const manifest: unknown = JSON.parse(readFileSync(manifestUrl, 'utf8'))

export const version =
  typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : 'unknown'

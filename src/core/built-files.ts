// Where the files of this package lie, whatever chunk of the build this code has ended up in.
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

/** `package.json`, found by the package's own name. */
export const manifest = pathToFileURL(createRequire(import.meta.url).resolve('feedoo/package.json'))

const built = import.meta.url.startsWith(new URL('./dist/', manifest).href)
const folder = new URL(built ? './dist/' : './src/', manifest).href

/** URL of a module that the build makes a file of its own (the entries in scripts/build.ts), as `core/worker`. */
export function moduleUrl(name: string): string {
  return `${folder}${name}${built ? '.js' : '.ts'}`
}

/** True for a module of this package. */
export function isOurs(url: string): boolean {
  return url.startsWith(folder)
}

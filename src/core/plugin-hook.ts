// How a plugin's `import 'feedoo'` finds this package, wherever the plugin lies: a resolve hook for Node's module loader.
import type { ResolveFnOutput, ResolveHookContext } from 'node:module'

/** What the hook needs to know of this package. */
export interface Ours {
  /** URL of the public entry. */
  entry: string
  /** URL of any file of this package: what it can import is there for plugins too. */
  base: string
}

type Next<Result> = (specifier: string, context: ResolveHookContext) => Result

let ours: Ours | undefined

/** Called by `module.register` in the loader's thread. */
export function initialize(data: Ours): void {
  ours = data
}

/** The hook of `module.register`, for Node before 22.15. */
export async function resolve(
  specifier: string,
  context: ResolveHookContext,
  next: Next<Promise<ResolveFnOutput>>,
): Promise<ResolveFnOutput> {
  if (ours === undefined) return next(specifier, context)
  // Always ours, even beside a copy in the plugin's node_modules: an action must be made for the engine that runs it.
  if (specifier === 'feedoo') return next(ours.entry, context)
  try {
    return await next(specifier, context)
  } catch (error) {
    if (!isShared(specifier)) throw error
    return next(specifier, { ...context, parentURL: ours.base })
  }
}

/** The same hook for `module.registerHooks`, which is synchronous. */
export function resolveSyncFor({ entry, base }: Ours) {
  return (specifier: string, context: ResolveHookContext, next: Next<ResolveFnOutput>): ResolveFnOutput => {
    if (specifier === 'feedoo') return next(entry, context)
    try {
      return next(specifier, context)
    } catch (error) {
      if (!isShared(specifier)) throw error
      return next(specifier, { ...context, parentURL: base })
    }
  }
}

/** Packages that a plugin may use without having them: what its specs are made of. */
function isShared(specifier: string): boolean {
  return specifier === 'zod' || specifier.startsWith('zod/')
}

// Warns about inputs that delete what they have read while events that are rejected on the way are kept nowhere.
import type { CheckedAction } from './actions.ts'
import type { Reporter } from './reporter.ts'
import { treeAt } from './tree.ts'

/** For a configuration without `dead_letters`. `builtIn` tells the actions of whose `remove` it is known what it means. */
export function warnOfLostEvents(
  actions: readonly CheckedAction[],
  builtIn: (name: string) => boolean,
  reporter: Reporter,
): void {
  for (const { tree, spec, config } of actions) {
    if (spec?.kind !== 'input' || config?.params.remove !== true || !builtIn(spec.name)) continue
    reporter.warn(
      treeAt(tree, ['remove'])?.at ?? tree.at,
      'an event that is rejected is deleted with the others, and is then nowhere',
      'add `dead_letters: <file>` at the top, which keeps rejected events',
    )
  }
}

// `feedoo check`: is this configuration right?
import { load } from './load.ts'

/** Exit code 0, or 2 when there are mistakes. */
export async function check(file: string): Promise<number> {
  const { config, warnings } = await load(file)
  if (config === undefined) return 2
  const actions = config.pipelines.reduce((count, { actions }) => count + actions.length, 0)
  const warned = warnings === 0 ? '' : `, ${plural(warnings, 'warning')}`
  process.stdout.write(
    `${file}: ok, ${plural(config.pipelines.length, 'pipeline')}, ${plural(actions, 'action')}${warned}\n`,
  )
  return 0
}

function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

import { expect, test } from 'vitest'
import { loadText } from '../config/helpers.ts'

const pipeline = 'pipelines:\n  p:\n    - name: input_dummy\n      tag: t\n    - name: output_stdout\n'

test('without its keys there is no state folder, and fsync is commit', async () => {
  const { config } = await loadText(pipeline)
  expect(config).not.toHaveProperty('stateDir')
  expect(config?.fsync).toBe('commit')
})

test('state_dir takes variables, and fsync one of its words', async () => {
  const top = 'variables: { host: web }\nstate_dir: /var/lib/{host}\n'
  expect((await loadText(`${top}fsync: never\n${pipeline}`)).config).toMatchObject({
    stateDir: '/var/lib/web',
    fsync: 'never',
  })
  const { config, diagnostics } = await loadText(`${top}fsync: sometimes\n${pipeline}`)
  expect(config).toBeUndefined()
  expect(diagnostics.map(({ message }) => message)).toEqual([expect.stringContaining('sometimes')])
})

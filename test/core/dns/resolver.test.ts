import { expect, it } from 'vitest'
import { createResolver } from '../../../src/core/dns/resolver.ts'
import { NameServer } from '../../helpers/rbldnsd.ts'

it('waits for an answer that takes long after many that were quick', async () => {
  const server = await NameServer.start()
  const resolver = createResolver({ servers: [server.address], timeout: 20 })
  for (let i = 0; i < 20; i++) expect(await resolver.answers(`quick${i}.test`)).toEqual([])
  // Longer than a resolver of Node waits that has learnt how quick its server is.
  server.fate = async () => {
    await new Promise((resolve) => setTimeout(resolve, 1500))
    return { addresses: ['127.0.0.2'] }
  }
  expect(await resolver.answers('slow.test')).toEqual(['127.0.0.2'])
  expect(server.asked.length).toBe(21)
  resolver.close()
})

it('asks nothing once it is closed', async () => {
  const server = await NameServer.start()
  const resolver = createResolver({ servers: [server.address], timeout: 20 })
  resolver.close()
  await expect(resolver.answers('late.test')).rejects.toThrow()
  expect(server.asked).toEqual([])
})

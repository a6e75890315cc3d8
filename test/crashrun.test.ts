import { test } from 'vitest'
import { crashPoints } from '/work/dur/src/core/crash-points.ts'
import { crash } from '/work/dur/test/crash/lab.ts'
let s = 7
const random = () => { s = (Math.imul(s, 1664525) + 1013904223) >>> 0; return s / 2 ** 32 }
for (const way of ['forward', 'file'] as const)
test.each(crashPoints)(way + ' %s', async (point) => { console.log(way, point, JSON.stringify(await crash(way, { count: 4, point }, random))) }, 120000)

// The random cases of the matcher, all of them.
import { it } from 'vitest'
import { compareWithNaive } from './matching-oracle.ts'

it('finds what includes finds in 100,000 random texts', () => compareWithNaive(100_000))

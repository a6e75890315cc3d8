// Every built-in action, in the order of the reference. The only place that names them all.
import { inputDummy } from './input/input_dummy.ts'
import { outputStdout } from './output/output_stdout.ts'

export const actions = [inputDummy, outputStdout] as const

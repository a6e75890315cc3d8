import { describeEachOnce } from './fluent-logger.ts'

describeEachOnce(100_000)

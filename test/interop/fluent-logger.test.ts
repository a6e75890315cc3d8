import { describeEachOnce } from './fluent-logger.ts'

describeEachOnce(5000)

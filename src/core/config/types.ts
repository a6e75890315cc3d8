// A configuration that has been read and checked.

export interface Config {
  /** The file it came from. */
  file: string
  pipelines: PipelineConfig[]
  /** Modules that add actions, as URLs to import. */
  plugins: string[]
  states?: StatesConfig
  privileges?: { user: string; group: string }
  deadLetters?: string
  /** The folder of the state files, one a pipeline. */
  stateDir?: string
  fsync: Fsync
  /** Seconds to drain after SIGTERM before the process gives up. */
  shutdownTimeout: number
  /** For `feedoo test`. */
  tests: TestConfig[]
}

/** A test of the rules of a pipeline. */
export interface TestConfig {
  name: string
  pipeline: string
  /** Unix seconds. */
  start: number
  /** Addresses by name; any other name does not exist. */
  dns: Record<string, string[]>
  steps: TestStep[]
  /** All that must come, in order. */
  alerts: ExpectedAlert[]
  /** `file:line:column` of the test. */
  at: string
}

export type TestStep =
  | { kind: 'advance'; seconds: number }
  | {
      kind: 'event'
      tag: string
      record: Record<string, unknown>
      repeat: number
      /** Seconds between repetitions. */
      every: number
      /** Seconds from the start of the test. */
      at?: number
      /** Seconds from the step before. */
      after?: number
    }

/** What is not given may be anything. */
export interface ExpectedAlert {
  tag?: string | undefined
  /** Seconds from the start of the test. */
  at?: number | undefined
  record?: Record<string, unknown> | undefined
  cause?: Record<string, unknown> | undefined
}

/** When a commit is flushed to the disk. */
export type Fsync = 'always' | 'commit' | 'never'

export interface PipelineConfig {
  name: string
  actions: ActionConfig[]
}

export interface ActionConfig {
  name: string
  /** What logs and counters call it: its `label`, or its name. */
  label: string
  /** The parameters as written, variables replaced; `name` and `label` are not among them. */
  params: Record<string, unknown>
  /** `file:line:column` of the action. */
  at: string
}

export interface StatesConfig {
  ip: string
  port: number
  token?: string
}

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
  /** Seconds to drain after SIGTERM before the process gives up. */
  shutdownTimeout: number
}

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

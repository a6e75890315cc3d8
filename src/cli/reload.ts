// `feedoo reload`: has the running daemon read its configuration again, and shows what came of it.
import { askReload } from './control.ts'

type Write = (text: string) => void

/** Exit code 0; 1 when there is no such daemon or a pipeline cannot be opened; 2 when the configuration is wrong. */
export async function reloadCommand(file: string, write: Write, writeError: Write): Promise<number> {
  const { code, text } = await askReload(file)
  if (code === 0) write(text)
  else writeError(text)
  return code
}

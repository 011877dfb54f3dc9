import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/**
 * Runs one of the project's scripts to its end and resolves to what it printed; its errors go to the terminal. A
 * process of its own, because the scripts load half of the server and the launcher stays for as long as it runs.
 */
export function runProjectScript(fileName: string, environment: NodeJS.ProcessEnv): Promise<string> {
  return new Promise((resolve, reject) => {
    const script = fileURLToPath(new URL(`../${fileName}`, import.meta.url))
    const child = spawn(process.execPath, [script], { env: environment, stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
    })
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (code === 0) resolve(output.trim())
      else reject(new Error(`scripts/${fileName} failed (${signal ?? `exit code ${code}`})`))
    })
  })
}

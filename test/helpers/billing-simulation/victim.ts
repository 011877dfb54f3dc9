import { loadConfig } from '../../../src/config.ts'
import { armFailpoints } from '../../../src/infra/failpoints.ts'
import { openBilling } from './process.ts'

/** A process of its own that works on what is due at a time, and is killed where its failpoints say. */
const { TEST_SIMULATION_NOW = '', TEST_SIMULATION_FAILPOINTS = '' } = process.env
const now = new Date(Number(TEST_SIMULATION_NOW))
armFailpoints(TEST_SIMULATION_FAILPOINTS, (signal) => process.kill(process.pid, signal))
const billing = openBilling(loadConfig(process.env), () => now)
await billing.work()
await billing.close()

import { defineProblem } from '../../errors.ts'

export const tooManySockets = defineProblem('live.too_many_sockets', 429, 'Too many live connections')
export const upgradeRequired = defineProblem('live.upgrade_required', 426, 'This route speaks WebSocket')

import { defineProblem } from '../../errors.ts'

export const wrongCredentials = defineProblem('identity.wrong_credentials', 401, 'Wrong email or password')

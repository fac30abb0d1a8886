import { join } from 'node:path'

import { checkHouse } from './house.ts'

const breaches = checkHouse(join(import.meta.dirname, '..'))
for (const breach of breaches) console.error(breach)
process.exit(breaches.length === 0 ? 0 : 1)

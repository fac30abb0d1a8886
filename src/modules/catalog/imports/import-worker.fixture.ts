import { pino } from 'pino'

import { systemClock } from '../../../platform/clock.ts'
import { createDb } from '../../../platform/db/db.ts'
import { armFault } from '../../../platform/fault.ts'
import { importService } from './import-service.ts'
import { openSpool } from './spool.ts'

/** A process that works on imports until it is killed: `<database url> <data folder> <fault point>`. */
const [url = '', dataDir = '', fault] = process.argv.slice(2)
const log = pino({ level: 'silent' })
const db = createDb({ url, poolSize: 4, applicationName: 'import worker', log })
armFault(fault)
await importService({ db, clock: systemClock, log }, openSpool(dataDir)).start()

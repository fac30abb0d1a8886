// A worker in a process of its own, for tests that kill it: node --import tsx delivery-child.ts <JSON>
import { pino } from 'pino'

import { createDelivery, defineMailTemplate } from '../../src/delivery/index.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { loadConfig } from '../../src/platform/config.ts'
import { createDb } from '../../src/platform/db/db.ts'
import { armFault } from '../../src/platform/fault.ts'

const { url, smtpUrl, dataDir, leaseMs, fault } = JSON.parse(process.argv[2] ?? '{}') as {
  url: string
  smtpUrl: string
  dataDir: string
  leaseMs?: number
  fault?: string
}
const log = pino({ level: 'silent' })
const config = loadConfig({ DATABASE_URL: url, SMTP_URL: smtpUrl, DATA_DIR: dataDir, MAIL_FROM: 'souk@example.org' })
const db = createDb({ url, poolSize: 3, applicationName: 'souk delivery child', log })
const numbered = defineMailTemplate<{ n: number }>({
  name: 'numbered',
  render: ({ n }) => ({ subject: `Mail ${n}`, html: `<p>${n}</p>`, text: String(n) }),
})

armFault(fault)
const delivery = createDelivery({
  db,
  config,
  clock: systemClock,
  log,
  templates: [numbered],
  ...(leaseMs && { leaseMs }),
})
for (const service of delivery.services()) await service.start()
process.stdout.write('started\n')

import { hostname } from 'node:os'

import { isUuid } from '../../platform/ids.ts'
import type { Service } from '../../platform/service.ts'
import { consumeStream } from '../../stream/index.ts'
import type { Context } from '../module.ts'
import { settleConfirmedOrder } from './payments.ts'

const GROUP = 'souk-payments'

/** With PAYMENT_EVENTS=stream: sets payments going when the stream of the orders tells that one is confirmed. */
export function paymentStream({ db, config, log }: Context): Service[] {
  if (config.orders.paymentEvents !== 'stream' || config.redisUrl === undefined) return []
  return [
    consumeStream({
      redisUrl: config.redisUrl,
      stream: `${config.changeStream.prefix}.public.orders`,
      group: GROUP,
      consumer: `${hostname()}-${process.pid}`,
      log,
      handle: async ({ rowId, change }) => {
        if (change.after?.state !== 'CONFIRMED' || !isUuid(rowId)) return
        await db.transaction((tx) => settleConfirmedOrder(tx, rowId))
      },
    }),
  ]
}

import { onServer } from '../../bench/support/workbench.ts'

/** Units that were put in, by product and variant. */
export type PutIn = Readonly<Record<string, Readonly<Record<string, number>>>>

interface Account {
  product_id: string
  variant: string
  free: string
  held: string
  sold: string
}

const ACCOUNTS = `
  SELECT s.product_id, s.variant, s.quantity AS free,
         coalesce(sum(l.quantity) FILTER (WHERE o.state IN ('PENDING_CONFIRMATION', 'CONFIRMED')), 0) AS held,
         coalesce(sum(l.quantity) FILTER (WHERE o.state IN ('ACCEPTED', 'SHIPPED')), 0) AS sold
    FROM stock_levels s
    LEFT JOIN order_lines l ON l.product_id = s.product_id AND l.variant = s.variant
    LEFT JOIN orders o ON o.id = l.order_id
   WHERE s.product_id = ANY($1)
   GROUP BY s.product_id, s.variant`

/** Free, held and sold units make up what was put in, for every variant; none is below zero. */
export async function stockProblems(databaseUrl: string, putIn: PutIn): Promise<string[]> {
  const rows = await onServer<Account>(databaseUrl, ACCOUNTS, [Object.keys(putIn)])
  const accounts = new Map(rows.map((row) => [`${row.product_id} ${row.variant}`, row]))
  const variants = Object.entries(putIn).flatMap(([productId, stock]) =>
    Object.entries(stock).map(([variant, units]) => ({ name: `${productId} ${variant}`, units })),
  )
  return variants.flatMap(({ name, units }) => {
    const account = accounts.get(name)
    if (account === undefined) return [`the stock row of ${name} is gone`]
    const { free, held, sold } = account
    if (Number(free) + Number(held) + Number(sold) === units && Number(free) >= 0) return []
    return [`of ${units} units of ${name} there are ${free} free, ${held} held and ${sold} sold`]
  })
}

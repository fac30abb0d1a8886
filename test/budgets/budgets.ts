import type { InjectOptions } from 'fastify'

import { identityBudgets } from './identity-budgets.ts'
import { storeBudgets } from './store-budgets.ts'
import { call, feedUpload, type World } from './world.ts'

/** The most statements that an operation may send, and a request that sends them. */
export type Budget = [statements: number, request: (world: World) => InjectOptions | Promise<InjectOptions>]

/** By method and path as in the OpenAPI document, and in brackets what is asked for where that matters. */
export type Budgets = Readonly<Record<string, Budget>>

const plain = (statements: number, url: string): Budget => [statements, () => call('GET', url)]
const asSeller = (statements: number, urlOf: (world: World) => string): Budget => [
  statements,
  (world) => call('GET', urlOf(world), world.seller),
]

const systemBudgets: Budgets = {
  'GET /': plain(0, '/'),
  'GET /healthz': plain(0, '/healthz'),
  'GET /health-check/': plain(0, '/health-check/'),
  'GET /readyz': plain(5, '/readyz'),
  'GET /metrics': plain(9, '/metrics'),
  'GET /api/': plain(0, '/api/'),
  'GET /api/version': plain(0, '/api/version'),
  'GET /api/openapi.json': plain(0, '/api/openapi.json'),
  'GET /api/postman.json': plain(0, '/api/postman.json'),
  'GET /api/swagger/': plain(0, '/api/swagger/'),
  'GET /swagger/': plain(0, '/swagger/'),
  'GET /api/redoc/': plain(0, '/api/redoc/'),
  'GET /redoc/': plain(0, '/redoc/'),
  'GET /api/docs/swagger-ui-bundle.js': plain(0, '/api/docs/swagger-ui-bundle.js'),
  'GET /api/docs/swagger-ui.css': plain(0, '/api/docs/swagger-ui.css'),
  'GET /api/docs/swagger-start.js': plain(0, '/api/docs/swagger-start.js'),
  'GET /api/docs/redoc.standalone.js': plain(0, '/api/docs/redoc.standalone.js'),
  'GET /api/docs/redoc-start.js': plain(0, '/api/docs/redoc-start.js'),
  'GET /api/state-machines/': plain(0, '/api/state-machines/'),
  'GET /api/state-machines/{file}': plain(0, '/api/state-machines/order.svg'),
}

const liveBudgets: Budgets = {
  'GET /api/changes/': asSeller(5, () => '/api/changes/?limit=100'),
  'GET /api/topics/': asSeller(0, () => '/api/topics/'),
}

const feedBudgets: Budgets = {
  'GET /list-products/': asSeller(2, () => '/list-products/?page_size=100&sort_by=price&brand=Acme'),
  'GET /product-detail/{product_id}/': asSeller(2, ({ feedId }) => `/product-detail/${feedId}/`),
  'GET /filter-options/': asSeller(2, () => '/filter-options/'),
  'GET /api/products/feed.xml': asSeller(2, () => '/api/products/feed.xml'),
  'POST /upload-products/': [12, ({ seller, size }) => feedUpload('/upload-products/', seller, size)],
  'POST /api/imports/': [3, ({ seller, size }) => feedUpload('/api/imports/', seller, size)],
  'GET /api/imports/': asSeller(2, () => '/api/imports/'),
  'GET /api/imports/{id}/': asSeller(2, ({ importId }) => `/api/imports/${importId}/`),
  'GET /api/imports/{id}/report/': asSeller(3, ({ importId }) => `/api/imports/${importId}/report/`),
  'GET /api/imports/{id}/report.csv': asSeller(3, ({ importId }) => `/api/imports/${importId}/report.csv`),
  'POST /api/imports/{id}/cancel/': [
    4,
    async ({ seller, size, prepare }) => {
      const { id } = await prepare(feedUpload('/api/imports/', seller, size))
      return call('POST', `/api/imports/${String(id)}/cancel/`, seller)
    },
  ],
}

export const budgets: Budgets = {
  ...systemBudgets,
  ...identityBudgets,
  ...liveBudgets,
  ...feedBudgets,
  ...storeBudgets,
}

/** A socket, and an answer that does not end. */
export const unmeasured = ['GET /ws/changes/', 'GET /api/changes/stream/']

import { Type, type Static } from 'typebox'

import type { App } from '../../../platform/http/app.ts'
import type { Caller } from '../../../platform/http/caller.ts'
import { uuidParam } from '../../../platform/http/schemas.ts'
import { presentProduct } from './presenters.ts'
import { changeProduct, createProduct, deleteProduct, getProduct, moveProduct } from './products.ts'
import { createProductBody, productSchema, replaceProductBody, updateProductBody } from './schemas.ts'

const tags = ['Products']
const path = { id: '{{productId}}' }

/** Single products of the store (store contract, section 3). */
export function registerProductRoutes(app: App): void {
  readRoute(app)
  createRoute(app)
  changeRoutes(app)
  stateRoutes(app)
  deleteRoute(app)
}

function readRoute(app: App): void {
  app.get(
    '/api/products/:id/',
    {
      config: { postman: { path } },
      schema: {
        tags,
        summary: 'Show a product',
        operationId: 'getProduct',
        params: uuidParam,
        response: { 200: productSchema },
      },
    },
    async (request) => presentProduct(await getProduct(app.db, request.caller, request.params.id)),
  )
}

function createRoute(app: App): void {
  app.post(
    '/api/products/',
    {
      config: { postman: { order: 220, save: { productId: 'id' } } },
      schema: {
        tags,
        summary: 'Offer a product',
        operationId: 'createProduct',
        body: createProductBody,
        response: { 201: productSchema },
      },
    },
    async (request, reply) => {
      const { title, description, price, stock, tags: tagIds = [], state = 'AVAILABLE' } = request.body
      const input = { title, description, price, stock, tagIds, state }
      const product = await app.db.transaction((tx) => createProduct(tx, request.caller, input, app.clock.now()))
      return reply.code(201).header('location', `/api/products/${product.id}/`).send(presentProduct(product))
    },
  )
}

function changeRoutes(app: App): void {
  const change = async (caller: Caller, id: string, body: Static<typeof updateProductBody>) => {
    const { title, description, price, stock, tags: tagIds } = body
    const members = { title, description, price, stock, tagIds }
    return presentProduct(await app.db.transaction((tx) => changeProduct(tx, caller, id, members, app.clock.now())))
  }

  app.put(
    '/api/products/:id/',
    {
      config: { postman: { path } },
      schema: {
        tags,
        summary: 'Replace a product; variants that are not named vanish, tags that are absent are none',
        operationId: 'replaceProduct',
        params: uuidParam,
        body: replaceProductBody,
        response: { 200: productSchema },
      },
    },
    ({ caller, params, body }) => change(caller, params.id, { tags: [], ...body }),
  )

  app.patch(
    '/api/products/:id/',
    {
      config: { postman: { path, body: { price: 1799 } } },
      schema: {
        tags,
        summary: 'Change what is sent of a product; stock and tags are replaced as a whole',
        operationId: 'updateProduct',
        params: uuidParam,
        body: updateProductBody,
        response: { 200: productSchema },
      },
    },
    ({ caller, params, body }) => change(caller, params.id, body),
  )
}

function stateRoutes(app: App): void {
  app.post(
    '/api/products/:id/publish/',
    {
      config: { errors: [400], postman: { order: 860, path } },
      schema: {
        tags,
        summary: 'Make a draft available',
        operationId: 'publishProduct',
        params: uuidParam,
        response: { 200: productSchema },
      },
    },
    async ({ caller, params }) =>
      presentProduct(await app.db.transaction((tx) => moveProduct(tx, caller, params.id, 'publish', app.clock.now()))),
  )

  app.post(
    '/api/products/:id/withdraw/',
    {
      config: { errors: [400], postman: { order: 850, path } },
      schema: {
        tags,
        summary: 'Make an available product a draft again',
        operationId: 'withdrawProduct',
        params: uuidParam,
        response: { 200: productSchema },
      },
    },
    async ({ caller, params }) =>
      presentProduct(await app.db.transaction((tx) => moveProduct(tx, caller, params.id, 'withdraw', app.clock.now()))),
  )
}

function deleteRoute(app: App): void {
  app.delete(
    '/api/products/:id/',
    {
      config: { postman: { order: 870, path } },
      schema: {
        tags,
        summary: 'Delete a product',
        operationId: 'deleteProduct',
        params: uuidParam,
        response: { 204: Type.Null() },
      },
    },
    async ({ caller, params }, reply) => {
      await app.db.transaction((tx) => deleteProduct(tx, caller, params.id, app.clock.now()))
      return reply.code(204).send(null)
    },
  )
}

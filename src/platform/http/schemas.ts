import { Type, type Static, type TSchema, type TUnsafe } from 'typebox'

/** A UUID in the path; anything else answers 404, because it names nothing (identity contract, section 1.1). */
export const uuidParam = Type.Object({ id: Type.String({ format: 'uuid' }) })

export const uuidSchema = Type.String({ format: 'uuid', examples: ['0193e3a0-7c1e-7000-8000-3f2a5c9d1b47'] })

/** An instant in an answer. Serialised as it is: it already is text with six decimals. */
export const timestampSchema = Type.String({
  description: 'RFC 3339, UTC, six decimals.',
  examples: ['2025-02-11T13:21:54.181982Z'],
})

/** `value or null`, written as a type list: an `anyOf` is serialised many times slower. */
export function nullable<T extends TSchema>(schema: T): TUnsafe<Static<T> | null> {
  const { type } = schema as { type?: unknown }
  if (typeof type !== 'string') return Type.Unsafe<Static<T> | null>(Type.Union([schema, Type.Null()]))
  return Type.Unsafe<Static<T> | null>({ ...schema, type: [type, 'null'] })
}

/** `{"message": "..."}` */
export const messageSchema = Type.Object({ message: Type.String() })

const problemMembers = {
  type: Type.String({ description: 'URI reference of the kind of problem.', examples: ['about:blank'] }),
  title: Type.String({ description: 'Short phrase of the status.' }),
  status: Type.Integer({ description: 'The HTTP status.' }),
  detail: Type.String({ description: 'What is wrong, for a person.' }),
  error: Type.String({ description: 'The same text as `detail`.' }),
  message: Type.String({ description: 'The same text as `detail`.' }),
  code: Type.String({ description: 'A stable word for programs.' }),
  errors: Type.Optional(
    Type.Record(Type.String(), Type.Array(Type.String()), {
      description:
        'Field name (dots for nested fields) to its messages; `non_field_errors` for errors of no single field.',
    }),
  ),
}

/** The body of every error (RFC 9457). */
export const problemSchema = Type.Object(problemMembers, {
  title: 'Problem',
  description: 'Why the request was not carried out (RFC 9457).',
})

/** For a response whose problem document has further members: `response: { 410: problemWith({ oldest: Type.Integer() }) }`. */
export function problemWith(members: Record<string, TSchema>, description?: string): TSchema {
  return Type.Object({ ...problemMembers, ...members }, description === undefined ? {} : { description })
}

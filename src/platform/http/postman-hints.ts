/** What the Postman collection cannot read off the schemas; kept in the OpenAPI document as `x-postman`. */
export interface PostmanHints {
  /** Requests run in ascending order: below 100 sign-up and sign-in, 500 by default, from 900 deletions and log-out. */
  order?: number
  /** True where the operation cannot run in sequence against a fresh server. */
  skip?: boolean
  /** Replaces the example of the schema; `{{name}}` is a variable of the collection. */
  body?: unknown
  /** A body that is not JSON, as text. */
  raw?: { contentType: string; text: string }
  /** Values of path parameters, such as `{ id: '{{userId}}' }`. */
  path?: Record<string, string>
  /** Query parameters to send. */
  query?: Record<string, string>
  /** Sent without a credential. */
  anonymous?: boolean
  /** Variable that holds the token to send, where it is not `token`. */
  credential?: string
  /** Variable name to the member of the JSON answer that is kept in it (`user.id`, `results.0.id`). */
  save?: Record<string, string>
  /** The status, or one of several, that the request answers in sequence; default the first documented success. */
  expect?: number | readonly number[]
}

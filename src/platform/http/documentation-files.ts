import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

export interface DocumentationFile {
  name: string
  type: string
  operationId: string
  read(): Promise<string>
}

const JAVASCRIPT = 'text/javascript; charset=utf-8'
const require = createRequire(import.meta.url)

/** `validatorUrl` would send the document to a foreign host; `persistAuthorization` would keep credentials in the browser. */
const SWAGGER_START = `window.ui = SwaggerUIBundle({
  url: '/api/openapi.json', dom_id: '#documentation', validatorUrl: null, persistAuthorization: false, deepLinking: true,
})
`
const REDOC_START = `Redoc.init('/api/openapi.json', { hideDownloadButton: false }, document.getElementById('documentation'))
`

export const documentationFiles: readonly DocumentationFile[] = [
  {
    name: 'swagger-ui-bundle.js',
    operationId: 'getSwaggerScript',
    type: JAVASCRIPT,
    read: () => packageFile('swagger-ui-dist/swagger-ui-bundle.js'),
  },
  {
    name: 'swagger-ui.css',
    operationId: 'getSwaggerStyle',
    type: 'text/css; charset=utf-8',
    read: () => packageFile('swagger-ui-dist/swagger-ui.css'),
  },
  { name: 'swagger-start.js', operationId: 'getSwaggerStart', type: JAVASCRIPT, read: async () => SWAGGER_START },
  { name: 'redoc.standalone.js', operationId: 'getRedocScript', type: JAVASCRIPT, read: redoc },
  { name: 'redoc-start.js', operationId: 'getRedocStart', type: JAVASCRIPT, read: async () => REDOC_START },
]

interface LoadedFile {
  body: Buffer
  etag: string
}

const loaded = new Map<string, Promise<LoadedFile>>()

/** Read when a page is first opened and kept from then on. */
export function readDocumentationFile(file: DocumentationFile): Promise<LoadedFile> {
  const known = loaded.get(file.name)
  if (known !== undefined) return known
  const reading = load(file)
  loaded.set(file.name, reading)
  // A failed read (the file system was busy) is tried again with the next request.
  reading.catch(() => loaded.delete(file.name))
  return reading
}

async function load(file: DocumentationFile): Promise<LoadedFile> {
  const body = Buffer.from(await file.read())
  return { body, etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"` }
}

/** The build puts ReDoc beside the bundle, so that production needs no development package. */
async function redoc(): Promise<string> {
  const built = fileURLToPath(new URL('./static/redoc.standalone.js', import.meta.url))
  const text = existsSync(built)
    ? await readFile(built, 'utf8')
    : await packageFile('redoc/bundles/redoc.standalone.js')
  // Its badge is the one thing the bundle fetches from a foreign host.
  return text.replaceAll(/https:\/\/cdn\.redoc\.ly\/[\w./-]+/g, 'data:,')
}

function packageFile(path: string): Promise<string> {
  return readFile(require.resolve(path), 'utf8')
}

/** Pages of ours need no script and fetch nothing from elsewhere. */
export const PAGE_CSP =
  "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const LINKS = [
  ['/admin/', 'Console'],
  ['/api/swagger/', 'API documentation, to try out'],
  ['/api/redoc/', 'API documentation, to read'],
  ['/api/openapi.json', 'OpenAPI description'],
  ['/api/postman.json', 'Postman collection'],
  ['/healthz', 'Health'],
  ['/readyz', 'Readiness'],
] as const

/** `GET /` (contracts README, item 11). */
export function htmlPage(version: string): string {
  const items = LINKS.map(([path, text]) => `      <li><a href="${path}">${text}</a></li>`)
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Souk</title>
    <style>
      body { font: 16px/1.6 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem; }
    </style>
  </head>
  <body>
    <h1>Souk</h1>
    <p>A marketplace backend, version ${version}.</p>
    <ul>
${items.join('\n')}
    </ul>
  </body>
</html>
`
}

/** A documentation page: its script and style come from our own files, its start from a file too, so that no inline script is allowed. */
export function documentationPage(page: { title: string; style?: string; scripts: readonly string[] }): string {
  const style = page.style === undefined ? '' : `\n    <link rel="stylesheet" href="${page.style}" />`
  const scripts = page.scripts.map((path) => `    <script src="${path}"></script>`)
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>${page.title}</title>
    <link rel="icon" href="data:," />${style}
  </head>
  <body>
    <div id="documentation"></div>
${scripts.join('\n')}
  </body>
</html>
`
}

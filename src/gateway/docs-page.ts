// GET /openapi.json and GET /docs: the description of the API, for programs and for people. The page is one text of ours
// that draws /openapi.json; it needs no other host, and its policy allows none.
import type { FastifyInstance } from 'fastify'
import { type ErrorCode, type ErrorKind, errorTable } from '../base/errors.ts'
import { sendJson, sendText } from '../runtime/http.ts'

export function docsRoutes(app: FastifyInstance): void {
  let openapi: string | undefined
  app.get('/openapi.json', { schema: { hide: true } }, (_, reply) => {
    openapi ??= JSON.stringify(app.swagger())
    return sendJson(reply, 200, openapi)
  })
  app.get('/docs', { schema: { hide: true } }, (_, reply) => {
    reply.header('content-security-policy', policy).header('x-content-type-options', 'nosniff')
    return sendText(reply, 200, page, 'text/html; charset=utf-8')
  })
}

const policy =
  "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

/** The place that a problem's `type` leads to. */
const errorRow = ([code, { status, title, retry, caller, operator }]: [string, ErrorKind]): string =>
  `<tr id="${code}"><td><code>${code}</code></td><td>${status}</td><td>${escaped(title)}</td><td>${retry ? 'yes' : 'no'}</td><td>${escaped(caller)}</td><td>${escaped(operator)}</td></tr>`

const errorRows = (Object.entries(errorTable) as [ErrorCode, ErrorKind][]).map(errorRow).join('\n')

const style = `
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1rem; }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { background: var(--soft); padding: .75rem; overflow: auto; border-radius: 6px; }
nav a { margin-right: 1rem; }
details { border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; padding: .5rem .75rem; }
summary { cursor: pointer; }
summary b { display: inline-block; min-width: 4.5rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .5rem; text-align: left; vertical-align: top; }
tr:target { background: #fd04; }`

// Everything is put in as text, never as HTML.
const script = `
const make = (name, text, ...children) => {
  const element = document.createElement(name)
  if (text) element.textContent = text
  element.append(...children)
  return element
}
const typeOf = (schema) => {
  if (!schema) return ''
  if (schema.$ref) return schema.$ref.split('/').pop()
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(' | ')
  if ('const' in schema) return JSON.stringify(schema.const)
  const any = schema.anyOf || (schema.oneOf && !schema.properties && schema.oneOf)
  if (any) return any.map(typeOf).join(' | ')
  if (schema.type === 'array') return typeOf(schema.items) + '[]'
  return [schema.type].flat().join(' | ')
}
const bounds = ({ minimum, maximum, minLength, maxLength, minItems, maxItems, pattern, format }) =>
  [
    minimum !== undefined || maximum !== undefined ? (minimum ?? '') + '…' + (maximum ?? '') : '',
    minLength || maxLength ? (minLength ?? 0) + '–' + (maxLength ?? '') + ' characters' : '',
    minItems || maxItems ? (minItems ?? 0) + '–' + (maxItems ?? '') + ' items' : '',
    format ?? '', pattern ? '/' + pattern + '/' : '',
  ].filter(Boolean).join(', ')
const rowsOf = (schema, prefix) =>
  Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const inner = field.type === 'array' ? field.items : field
    const isRequired = (schema.required ?? []).includes(name)
    const row = make('tr', '', make('td', '', make('code', prefix + name)), make('td', typeOf(field)), make('td', isRequired ? 'required' : ''), make('td', [field.description, bounds(field)].filter(Boolean).join(' ')))
    return [row, ...(inner?.properties ? rowsOf(inner, prefix + name + (field.type === 'array' ? '[].' : '.')) : [])]
  })
const tableOf = (rows) => make('table', '', ...rows)
const contentOf = (holder) => Object.entries(holder.content ?? {})
const drawSchema = (schema) => schema.properties ? tableOf(rowsOf(schema, '')) : make('p', '', make('code', typeOf(schema)))
const drawOperation = (method, path, operation) => {
  const box = make('details', '', make('summary', '', make('b', method.toUpperCase()), make('code', path), ' ', make('span', operation.summary)))
  box.id = operation.operationId
  if (operation.description) box.append(make('p', operation.description))
  if (operation.parameters?.length) box.append(make('h4', 'Parameters'), tableOf(operation.parameters.map((one) => make('tr', '', make('td', '', make('code', one.name)), make('td', one.in), make('td', one.required ? 'required' : ''), make('td', [typeOf(one.schema), one.description ?? one.schema?.description, bounds(one.schema ?? {})].filter(Boolean).join(' '))))))
  for (const [type, { schema }] of contentOf(operation.requestBody ?? {})) box.append(make('h4', 'Body, ' + type), drawSchema(schema))
  box.append(make('h4', 'Answers'), tableOf(Object.entries(operation.responses).map(([status, answer]) => make('tr', '', make('td', status), make('td', contentOf(answer).map(([, { schema }]) => typeOf(schema)).join(' or ')), make('td', answer.description)))))
  return box
}
const draw = (api) => {
  const main = document.getElementById('operations')
  for (const tag of api.tags) {
    main.append(make('h2', tag.name), make('p', tag.description))
    for (const [path, methods] of Object.entries(api.paths))
      for (const [method, operation] of Object.entries(methods))
        if (operation.tags?.includes(tag.name)) main.append(drawOperation(method, path, operation))
  }
  main.append(make('h2', 'Shapes'))
  for (const [name, schema] of Object.entries(api.components.schemas)) {
    const box = make('details', '', make('summary', '', make('code', name)), drawSchema(schema))
    box.id = 'shape-' + name
    main.append(box)
  }
}
fetch('/openapi.json').then((answer) => answer.json()).then(draw)`

const page = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Holdfast API</title><style>${style}</style></head>
<body>
<h1>Holdfast API</h1>
<p>JSON over HTTP, described by <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1). Send <code>Authorization: Bearer &lt;key&gt;</code>, and on every POST an <code>Idempotency-Key</code>: the same key and body again give the same thing again.</p>
<pre>curl -s http://127.0.0.1:8080/v1/orders -H 'Authorization: Bearer sk_dev' -H 'Idempotency-Key: try-1' \\
  -H 'Content-Type: application/json' \\
  -d '{"currency":"EUR","lines":[{"sku":"A-1","quantity":2,"unit_price":{"amount":500,"currency":"EUR"}}]}'</pre>
<nav><a href="#operations">Operations</a><a href="#errors">Errors</a></nav>
<main id="operations"></main>
<h2 id="errors">Errors</h2>
<p>Every refusal is <code>application/problem+json</code> (RFC 9457) with a stable <code>code</code>.</p>
<table><thead><tr><th>code</th><th>status</th><th>meaning</th><th>may a retry help</th><th>what the caller does</th><th>what the operator does</th></tr></thead>
<tbody>
${errorRows}
</tbody></table>
<script>${script}</script>
</body>
</html>
`

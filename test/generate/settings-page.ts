// docs/SETTINGS.md: what a shop may set, from the one definition.
import { settingRows } from '../../src/modules/shops/settings.ts'

export function settingsPage(): string {
  const rows = settingRows().map(({ name, default: value, meaning }) =>
    [`\`${name}\``, `\`${JSON.stringify(value)}\``, meaning.replaceAll('|', '\\|')].join(' | '),
  )
  return [
    '# Settings of a shop',
    '',
    'Made from `src/modules/shops/settings.ts`. `GET` and `PUT /v1/settings` read and set them whole; what is left out of a `PUT`',
    'takes its default. Every change is a version of its own (`ETag`, `If-Match`, `GET /v1/settings/history`) and the newest',
    'counts: at once in the process that took it, within 5 s in others. An order keeps the terms that it was placed under.',
    '`holdfast settings show|set|history` does the same through the database.',
    '',
    '| setting | default | meaning |',
    '|---|---|---|',
    ...rows.map((row) => `| ${row} |`),
    '',
    'Risk rules: none is on until a shop sets one. The strictest that applies wins: a refused order is 422 `order_refused` and',
    'nothing is kept, a reviewed one holds its units and waits in `in_review` once it is paid. The country is that of the',
    'shipping address. Orders of the last hour are counted in the database, by an index, so that they are exact over processes',
    'and restarts; those that are being placed in the same moment do not see each other. A count or an assessor that takes',
    'longer than 100 ms, or fails, is left out: the order is allowed as far as it is concerned, and',
    '`holdfast_risk_failures_total` counts it. Imports (`placed_at`) are not assessed.',
    '',
  ].join('\n')
}

// What an adjustment of stock asks: of what, by how many, and why.
import type { Adjustment, Client } from '@holdfast/sdk'
import type { Asked } from './dialog.tsx'
import { Field } from './parts.tsx'

const reasons: Record<Adjustment['reason'], string> = {
  received: 'received: units came in',
  returned: 'returned: units came back, fit to be sold',
  correction: 'correction: a mistake is mended',
  counted: 'counted: by so many more or less than known',
  damaged: 'damaged',
  lost: 'lost',
}

export function askedToAdjust(client: Client, sku: string): Asked {
  return {
    title: sku === '' ? 'Adjust stock' : `Adjust ${sku}`,
    text: 'What comes in is shared out among the cells by itself.',
    verb: 'Adjust',
    done: 'Stock adjusted',
    fields: (
      <>
        {sku === '' && (
          <Field label="SKU" hint="One that is not known yet is made.">
            {(id) => <input id={id} name="sku" required maxLength={128} autoComplete="off" spellCheck={false} />}
          </Field>
        )}
        <Field label="Units" hint="Less than 0 takes some away.">
          {(id) => <input id={id} name="delta" type="number" step={1} required />}
        </Field>
        <Field label="Reason">
          {(id) => (
            <select id={id} name="reason">
              {Object.entries(reasons).map(([reason, label]) => (
                <option key={reason} value={reason}>
                  {label}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Location">{(id) => <input id={id} name="location" defaultValue="main" required />}</Field>
      </>
    ),
    run: ({ key, form }) => {
      const adjustment: Adjustment = {
        sku: sku === '' ? String(form.get('sku')).trim() : sku,
        delta: Number(form.get('delta')),
        reason: String(form.get('reason')) as Adjustment['reason'],
        location: String(form.get('location')).trim(),
      }
      return client.stock.adjust([adjustment], { idempotencyKey: key })
    },
  }
}

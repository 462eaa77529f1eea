// One message to an endpoint: every try and what came of it, the body that is sent, and sending it again.
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useId } from 'react'
import { homeOf } from './cells.ts'
import { useConfirm } from './dialog.tsx'
import { formatMs, inWords } from './formats.ts'
import { useModal } from './modal.ts'
import { Failure, Skeleton, State, Time } from './parts.tsx'
import { useClient } from './queries.ts'
import { useSession } from './session.tsx'

export function DeliveryDialog({ id, onClose }: { id: string; onClose(): void }) {
  const { scopes } = useSession()
  const client = useClient(homeOf(id))
  const queries = useQueryClient()
  const dialog = useModal()
  const title = useId()
  const { ask, dialog: confirm } = useConfirm()
  const delivery = useQuery({ queryKey: ['delivery', id], queryFn: () => client.webhookDeliveries.get(id) })
  const redeliver = () =>
    ask({
      title: 'Send it again?',
      text: 'Under the same webhook-id, whatever came of it before.',
      verb: 'Send',
      done: 'It will be sent again',
      cell: homeOf(id),
      run: async ({ key }) => {
        await client.webhookDeliveries.redeliver(id, { idempotencyKey: key })
        await Promise.all(
          ['delivery', 'deliveries', 'order-messages'].map((name) => queries.invalidateQueries({ queryKey: [name] })),
        )
      },
    })
  const { data } = delivery
  return (
    <dialog ref={dialog} className="dialog dialog-wide" aria-labelledby={title} onCancel={onClose}>
      <h2 id={title}>{data ? data.type : 'Delivery'}</h2>
      {delivery.isPending && <Skeleton rows={4} />}
      {delivery.error && <Failure error={delivery.error} onRetry={() => void delivery.refetch()} />}
      {data && (
        <>
          <p className="dialog-text">
            <State of={data.status} /> {data.reason && inWords(data.reason)} {data.subject}
          </p>
          <ol className="time-line">
            {data.attempts.map((attempt) => (
              <li key={attempt.at} className={attempt.error || (attempt.status ?? 500) >= 300 ? 'bad' : ''}>
                <Time at={attempt.at} style="day" />
                <span>{attempt.error ?? `${attempt.status} ${attempt.answer}`}</span>
                <span className="soft">{formatMs(attempt.ms)}</span>
              </li>
            ))}
          </ol>
          {data.body && <pre className="data">{data.body}</pre>}
        </>
      )}
      <div className="dialog-actions">
        <button type="button" className="button" onClick={onClose}>
          Close
        </button>
        {data && scopes.has('webhooks:write') && (
          <button type="button" className="button button-main" onClick={redeliver}>
            Send again
          </button>
        )}
      </div>
      {confirm}
    </dialog>
  )
}

// Dialogs that ask before something is done. Opening one makes the idempotency key of what it asks about, and every press and
// every retry in it uses that key: it is done once. The browser's own dialog keeps the focus inside and gives it back.
import { type FormEvent, type ReactNode, useId, useState } from 'react'
import { announce } from './announcements.tsx'
import { intentKey } from './cells.ts'
import { Icon } from './icons.tsx'
import { useModal } from './modal.ts'
import { type Told, toldOf } from './parts.tsx'

export type Asked = {
  title: string
  text?: ReactNode
  /** Of the button that does it; a verb. */
  verb: string
  isHarmful?: boolean
  /** Whose home the key names. */
  cell?: string | undefined
  /** Named inputs; their values are handed to `run`. */
  fields?: ReactNode
  /** Said when it was done. */
  done: string
  run(intent: { key: string; form: FormData }): Promise<unknown>
}

function ConfirmDialog({ asked, onClose }: { asked: Asked; onClose(): void }) {
  const dialog = useModal()
  const title = useId()
  const [key] = useState(() => intentKey(asked.cell))
  const [isRunning, setRunning] = useState(false)
  const [told, setTold] = useState<Told | null>(null)

  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    if (isRunning) return
    setRunning(true)
    setTold(null)
    try {
      await asked.run({ key, form: new FormData(event.currentTarget) })
      announce(asked.done)
      onClose()
    } catch (error) {
      setTold(toldOf(error))
      setRunning(false)
    }
  }

  return (
    <dialog
      ref={dialog}
      className="dialog"
      aria-labelledby={title}
      onCancel={(event) => {
        event.preventDefault()
        if (!isRunning) onClose()
      }}
    >
      <form onSubmit={submit}>
        <h2 id={title}>{asked.title}</h2>
        {asked.text && <div className="dialog-text">{asked.text}</div>}
        {asked.fields}
        {told && (
          <div className="dialog-refusal" role="alert">
            <Icon name="warning" />
            <div>
              <p className="failure-title">{told.title}</p>
              {told.detail && <p>{told.detail}</p>}
              <code>{told.code}</code>
            </div>
          </div>
        )}
        <div className="dialog-actions">
          <button type="button" className="button" onClick={onClose} disabled={isRunning}>
            Back
          </button>
          <button
            type="submit"
            className={`button ${asked.isHarmful ? 'button-harm' : 'button-main'}`}
            disabled={isRunning}
          >
            {isRunning ? 'Working…' : asked.verb}
          </button>
        </div>
      </form>
    </dialog>
  )
}

/** A dialog that a page opens: `ask` shows it, `dialog` stands somewhere in the page. */
export function useConfirm(): { ask(asked: Asked): void; dialog: ReactNode } {
  const [open, setOpen] = useState<{ asked: Asked; count: number } | null>(null)
  return {
    ask: (asked) => setOpen((before) => ({ asked, count: (before?.count ?? 0) + 1 })),
    dialog: open && <ConfirmDialog key={open.count} asked={open.asked} onClose={() => setOpen(null)} />,
  }
}

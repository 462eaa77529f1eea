// Signing in: a secret key, which goes to this cell and stays in this tab.
import { type FormEvent, useState } from 'react'
import { Failure, Field } from '../parts.tsx'

export function SignIn({ problem, onKey }: { problem: unknown; onKey(key: string): Promise<void> }) {
  const [error, setError] = useState<unknown>(problem)
  const [isAsking, setAsking] = useState(false)
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const key = String(new FormData(event.currentTarget).get('key')).trim()
    if (key === '' || isAsking) return
    setAsking(true)
    setError(null)
    try {
      await onKey(key)
    } catch (failure) {
      setError(failure)
      setAsking(false)
    }
  }
  return (
    <main className="door">
      <title>Sign in · Holdfast</title>
      <form className="door-form" onSubmit={submit}>
        <h1>Holdfast</h1>
        <p className="door-text">The control room opens with a secret key of the shop.</p>
        <Field
          label="Secret key"
          hint="It stays in this tab and is sent to the cells alone. Make one with holdfast keys."
        >
          {(id) => (
            <input
              id={id}
              name="key"
              type="password"
              autoComplete="off"
              spellCheck={false}
              placeholder="sk_…"
              required
            />
          )}
        </Field>
        <button type="submit" className="button button-main" disabled={isAsking}>
          {isAsking ? 'Signing in…' : 'Sign in'}
        </button>
        {error !== null && error !== undefined && <Failure error={error} />}
      </form>
    </main>
  )
}

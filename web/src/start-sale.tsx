// Begins a flash sale from another page and goes to where it is seen, with the buttons that hurt it.
import { useState } from 'react'
import { useLocation } from 'wouter'
import { announce } from './announcements.tsx'
import { clientOf } from './cells.ts'
import { Icon } from './icons.tsx'
import { toldOf } from './parts.tsx'
import { useLive, useSession } from './session.tsx'

/** Long enough to cut a cell off meanwhile, and more buyers than units. */
export const usualSale = { units: 10_000, buyers: 5000 }

export function StartSale() {
  const { key } = useSession()
  const { cells } = useLive()
  const [, go] = useLocation()
  const [isStarting, setStarting] = useState(false)
  const start = async () => {
    setStarting(true)
    const { cell } = cells.find(({ reach }) => reach === 'live') ?? cells[0]!
    try {
      await clientOf(cell, key).chaos.startSale(usualSale)
      announce('Flash sale started')
    } catch (error) {
      announce(toldOf(error).title) // one that runs already, for one, is seen there too
    }
    go('/chaos')
  }
  return (
    <button type="button" className="button button-main" onClick={() => void start()} disabled={isStarting}>
      <Icon name="chaos" />
      Start a flash sale
    </button>
  )
}

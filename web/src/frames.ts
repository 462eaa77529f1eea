// However often something changes, whoever draws it is told once a frame.

type Schedule = (run: () => void) => unknown

export type Frames = {
  /** Something changed. */
  mark(): void
  subscribe(listener: () => void): () => void
  /** Goes up with every frame in which something had changed. */
  version(): number
}

export function createFrames(schedule: Schedule = (run) => requestAnimationFrame(run)): Frames {
  const listeners = new Set<() => void>()
  let version = 0
  let isAsked = false
  const draw = () => {
    isAsked = false
    version++
    for (const listener of listeners) listener()
  }
  return {
    mark() {
      if (isAsked) return
      isAsked = true
      schedule(draw)
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    version: () => version,
  }
}

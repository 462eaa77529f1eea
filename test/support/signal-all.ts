// Signals to several processes at once, as tests kill and freeze what belongs together.

/** Whoever has ended since it was listed is passed over, as a worker of PostgreSQL may have. */
export function signalAll(pids: readonly number[], name: NodeJS.Signals = 'SIGKILL'): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}

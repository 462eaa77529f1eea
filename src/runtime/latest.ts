// Work whose last result is kept for those who do not need a new one. Never twice at once.

export type Latest<T> = {
  run(): Promise<T>
  /** A run that began after this call, or the last result. */
  result(wanted: { fresh: boolean }): Promise<T>
  /** The last result, if there is one; nothing is run. */
  last(): T | undefined
}

export function keepLatest<T>(work: () => Promise<T>): Latest<T> {
  let last: { value: T } | undefined
  let running: Promise<T> | undefined

  function run(): Promise<T> {
    running ??= work()
      .then((value) => {
        last = { value }
        return value
      })
      .finally(() => {
        running = undefined
      })
    return running
  }

  return {
    run,
    last: () => last?.value,
    async result({ fresh }) {
      if (!fresh && last) return last.value
      await running?.catch(() => {})
      return run()
    },
  }
}

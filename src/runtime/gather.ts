// Single calls that become one statement: what is asked for in one turn of the event loop, or while the last run was under way,
// is done together. A run that fails fails for all that are in it.

/** `work` answers one result for each item, in their order. Runs never overlap, and hold at most `itemsMax`. */
export function gather<Item, Result>(
  itemsMax: number,
  work: (items: readonly Item[]) => Promise<readonly Result[]>,
): (item: Item) => Promise<Result> {
  type Waiting = { item: Item; resolve(result: Result): void; reject(error: unknown): void }
  let waiting: Waiting[] = []
  let running = false

  async function runAll(): Promise<void> {
    while (waiting.length > 0) {
      const run = waiting.slice(0, itemsMax)
      waiting = waiting.slice(itemsMax)
      try {
        const results = await work(run.map(({ item }) => item))
        for (const [index, { resolve }] of run.entries()) resolve(results[index]!)
      } catch (error) {
        for (const { reject } of run) reject(error)
      }
    }
    running = false
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject })
      if (running) return
      running = true
      setImmediate(() => void runAll())
    })
}

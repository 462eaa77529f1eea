// How far long work is: a bar on a terminal, plain lines elsewhere. Always on standard error, so that answers can be piped.

export type Progress = {
  set(done: number): void
  /** Leaves a last line with what was done and how long it took. */
  end(): void
}

const redrawEveryMs = 100
const lineEveryMs = 5_000
const barWidth = 24

type Output = Pick<NodeJS.WriteStream, 'write' | 'isTTY'>

type Options = { total?: number; output?: Output; now?: () => number }

/** `total` is unknown when absent; then only the count is shown. */
export function startProgress(label: string, options: Options = {}): Progress {
  const { total, output = process.stderr, now = () => performance.now() } = options
  const startedAt = now()
  let shownAt = startedAt
  let done = 0
  const show = (last: boolean) => {
    const seconds = (now() - startedAt) / 1000
    const text = describe({ label, done, total, seconds, bar: output.isTTY && !last })
    if (output.isTTY) output.write(`\r\x1b[2K${text}${last ? '\n' : ''}`)
    else output.write(`${text}\n`)
  }
  return {
    set(count) {
      done = count
      if (now() - shownAt < (output.isTTY ? redrawEveryMs : lineEveryMs)) return
      shownAt = now()
      show(false)
    },
    end: () => show(true),
  }
}

type State = { label: string; done: number; total: number | undefined; seconds: number; bar: boolean }

function describe({ label, done, total, seconds, bar }: State): string {
  const rate = seconds > 0 ? ` (${count(done / seconds)}/s)` : ''
  const counted = total === undefined ? count(done) : `${count(done)} of ${count(total)}`
  const drawn = bar && total ? `${drawBar(Math.min(1, done / total))} ` : ''
  return `${label.padEnd(10)} ${drawn}${counted} in ${seconds.toFixed(1)} s${rate}`
}

const count = (value: number): string => Math.round(value).toLocaleString('en')

const drawBar = (share: number): string => {
  const filled = Math.floor(share * barWidth)
  return `[${'#'.repeat(filled)}${'.'.repeat(barWidth - filled)}]`
}

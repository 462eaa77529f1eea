// The micro-batcher alone, on a scripted engine: who shares a batch, what is answered when a batch fails, and its bounds.
import { describe, expect, test } from 'vitest'
import { limits } from '../../src/base/limits.ts'
import { type Instant, instant } from '../../src/base/time.ts'
import { type BatcherOptions, createBatcher, Overloaded } from '../../src/runtime/batch.ts'
import { DatabaseUnavailable, failureClass, StatementFailed } from '../../src/runtime/pg-failure.ts'

type Command = { name: string; key?: string; rows?: number; deadline?: number }

/** A batcher whose batches are answered by hand. */
function scripted(options: Partial<BatcherOptions<Command, string>> = {}) {
  let now = 0
  const batches: { names: string[]; writing(): void; answer(): void; fail(error: unknown): void }[] = []
  const batcher = createBatcher<Command, string>({
    lanes: 1,
    run: (_lane, commands, onWriting) =>
      new Promise((resolve, reject) => {
        const names = commands.map((command) => command.name)
        batches.push({
          names,
          writing: onWriting,
          answer: () => resolve(names.map((name) => `did ${name}`)),
          fail: reject,
        })
      }),
    rowsOf: (command) => command.rows ?? 1,
    keyOf: (command) => command.key ?? null,
    deadlineOf: (command) => instant(command.deadline ?? 1_000_000),
    failureClass,
    time: {
      now: () => now as Instant,
      sleep: async (ms) => {
        now += ms
      },
      afterArrivals: (work) => setImmediate(work),
    },
    ...options,
  })
  return {
    batcher,
    batches,
    at: (ms: number) => {
      now = ms
    },
    turn: () => new Promise((resolve) => setImmediate(resolve)),
  }
}

const transient = () => new StatementFailed('rerun', '40001', 'serialization failure')
const broken = () => new StatementFailed('fail', '23505', 'unique violation')

describe('sharing a batch', () => {
  test('commands that arrive together commit together, and each gets its own answer', async () => {
    const { batcher, batches, turn } = scripted()
    const answers = ['a', 'b', 'c'].map((name) => batcher.submit({ name }))
    await turn()
    expect(batches.map((batch) => batch.names)).toEqual([['a', 'b', 'c']])
    batches[0]!.answer()
    expect(await Promise.all(answers)).toEqual(['did a', 'did b', 'did c'])
  })

  test('what arrives while a batch commits makes the next one', async () => {
    const { batcher, batches, turn } = scripted()
    void batcher.submit({ name: 'first' })
    await turn()
    void batcher.submit({ name: 'second' })
    void batcher.submit({ name: 'third' })
    await turn()
    expect(batches).toHaveLength(1)
    batches[0]!.answer()
    await turn()
    expect(batches[1]!.names).toEqual(['second', 'third'])
    batches[1]!.answer()
  })

  test('the next lane begins when the one before it writes, with all that has queued until then', async () => {
    const time = { now: () => 0 as Instant, sleep: () => new Promise<void>(() => {}), afterArrivals: setImmediate }
    const { batcher, batches, turn } = scripted({ lanes: 2, time })
    void batcher.submit({ name: 'first' })
    await turn()
    void batcher.submit({ name: 'second' })
    await turn()
    expect(batches).toHaveLength(1)
    void batcher.submit({ name: 'third' })
    batches[0]!.writing()
    await turn()
    expect(batches[1]!.names).toEqual(['second', 'third'])
    for (const batch of batches) batch.answer()
  })

  test('a batch is bounded by the rows it touches, and one large command still goes alone', async () => {
    const { batcher, batches, turn } = scripted({ batchRowsMax: 100 })
    void batcher.submit({ name: 'large', rows: 101 })
    void batcher.submit({ name: 'half', rows: 50 })
    void batcher.submit({ name: 'other half', rows: 50 })
    void batcher.submit({ name: 'next', rows: 1 })
    for (const expected of [['large'], ['half', 'other half'], ['next']]) {
      await turn()
      expect(batches.at(-1)!.names).toEqual(expected)
      batches.at(-1)!.answer()
      await turn()
    }
  })

  test('a key is in at most one batch at a time, whichever lane is free', async () => {
    const { batcher, batches, turn } = scripted({ lanes: 2 })
    const first = batcher.submit({ name: 'try', key: 'k' })
    await turn()
    const again = batcher.submit({ name: 'retry', key: 'k' })
    const other = batcher.submit({ name: 'other', key: 'l' })
    batches[0]!.writing()
    await turn()
    expect(batches.map((batch) => batch.names)).toEqual([['try'], ['other']])
    batches[1]!.writing()
    batches[0]!.answer()
    await first
    await turn()
    expect(batches[2]!.names).toEqual(['retry'])
    batches[1]!.answer()
    batches[2]!.answer()
    expect(await Promise.all([again, other])).toEqual(['did retry', 'did other'])
  })
})

describe('a batch that fails', () => {
  test('is rerun whole when a neighbour spoilt it, and nobody notices', async () => {
    const { batcher, batches, turn } = scripted()
    const answers = ['a', 'b'].map((name) => batcher.submit({ name }))
    await turn()
    batches[0]!.fail(transient())
    await turn()
    expect(batches[1]!.names).toEqual(['a', 'b'])
    batches[1]!.answer()
    expect(await Promise.all(answers)).toEqual(['did a', 'did b'])
  })

  test('is due its rerun after a unique violation, whatever went wrong before it', async () => {
    const { batcher, batches, turn } = scripted()
    const answer = batcher.submit({ name: 'a' })
    const failures = [new DatabaseUnavailable('ECONNRESET', 'gone'), transient(), transient(), broken()]
    for (const failure of failures) {
      await turn()
      batches.at(-1)!.fail(failure)
    }
    await turn()
    expect(batches).toHaveLength(failures.length + 1)
    batches.at(-1)!.answer()
    expect(await answer).toBe('did a')
  })

  test('is split until the poisoned command is alone: only that one is told', async () => {
    const { batcher } = scripted({
      run: async (_lane, commands) => {
        if (commands.some((command) => command.name === 'poison')) throw broken()
        return commands.map((command) => `did ${command.name}`)
      },
    })
    const names = ['a', 'b', 'c', 'poison', 'd', 'e', 'f']
    const answers = await Promise.allSettled(names.map((name) => batcher.submit({ name })))
    expect(answers.map((answer) => (answer.status === 'fulfilled' ? answer.value : answer.reason.code))).toEqual([
      'did a',
      'did b',
      'did c',
      '23505',
      'did d',
      'did e',
      'did f',
    ])
  })

  test('goes on after a lost connection until its deadline, then says that nothing happened', async () => {
    const { batcher } = scripted({
      run: async () => {
        throw new DatabaseUnavailable('ECONNREFUSED', 'down')
      },
    })
    const answer = await batcher.submit({ name: 'a', deadline: 5_000 }).catch((error) => error)
    expect(answer).toBeInstanceOf(DatabaseUnavailable)
    expect(answer.mayHaveHappened).toBe(false)
  })

  test('says that it may have happened when one of its tries was cut off in COMMIT', async () => {
    let tries = 0
    const { batcher } = scripted({
      run: async () => {
        throw new DatabaseUnavailable('CONNECTION_CLOSED', 'down', tries++ === 0)
      },
    })
    const answer = await batcher.submit({ name: 'a', deadline: 5_000 }).catch((error) => error)
    expect(answer.mayHaveHappened).toBe(true)
    expect(tries).toBeGreaterThan(1)
  })

  test('answers with the outcome when the database comes back in time', async () => {
    let tries = 0
    const { batcher } = scripted({
      run: async (_lane, commands) => {
        if (tries++ < 3) throw new DatabaseUnavailable('CONNECTION_CLOSED', 'down', true)
        return commands.map((command) => `did ${command.name}`)
      },
    })
    expect(await batcher.submit({ name: 'a' })).toBe('did a')
  })
})

describe('a batch that somebody holds up', () => {
  test('is not rerun for commands whose deadline has passed', async () => {
    const { batcher, batches, at, turn } = scripted()
    const late = batcher.submit({ name: 'late', deadline: 100 })
    const patient = batcher.submit({ name: 'patient', deadline: 900_000 })
    await turn()
    at(200)
    batches[0]!.fail(transient())
    await expect(late).rejects.toMatchObject({ name: 'DatabaseUnavailable', mayHaveHappened: false })
    await turn()
    expect(batches[1]!.names).toEqual(['patient'])
    batches[1]!.answer()
    expect(await patient).toBe('did patient')
  })

  test('answers the half that has committed before the other half ends', async () => {
    const { batcher, batches, turn } = scripted()
    const first = batcher.submit({ name: 'a' })
    const second = batcher.submit({ name: 'b' })
    for (const whole of [0, 1]) {
      await turn()
      batches[whole]!.fail(broken())
    }
    await turn()
    expect(batches[2]!.names).toEqual(['a'])
    batches[2]!.answer()
    expect(await first).toBe('did a')
    expect(batches[3]!.names).toEqual(['b'])
    batches[3]!.answer()
    expect(await second).toBe('did b')
  })
})

describe('bounds', () => {
  test('a full queue refuses at once and has room again when it has drained', async () => {
    const { batcher, batches, turn } = scripted()
    const waiting = [batcher.submit({ name: 'running' })]
    await turn()
    waiting.push(batcher.submit({ name: 'large', rows: limits.queueRowsMax }))
    expect(batcher.isFull()).toBe(true)
    await expect(batcher.submit({ name: 'late' })).rejects.toBeInstanceOf(Overloaded)
    const room = batcher.whenRoom()
    for (const batch of [0, 1]) {
      batches[batch]!.answer()
      await turn()
    }
    await room
    expect(batcher.isFull()).toBe(false)
    expect(await Promise.all(waiting)).toEqual(['did running', 'did large'])
  })

  test('a command whose deadline passed in the queue is refused and never run', async () => {
    const { batcher, batches, at, turn } = scripted()
    void batcher.submit({ name: 'running' })
    await turn()
    const late = batcher.submit({ name: 'late', deadline: 50 })
    const patient = batcher.submit({ name: 'patient', deadline: 5_000 })
    at(100)
    batches[0]!.answer()
    await expect(late).rejects.toBeInstanceOf(Overloaded)
    await turn()
    expect(batches[1]!.names).toEqual(['patient'])
    batches[1]!.answer()
    expect(await patient).toBe('did patient')
  })

  test('stop answers what was taken and takes nothing new', async () => {
    const { batcher, batches, turn } = scripted({
      time: {
        now: () => 0 as Instant,
        sleep: () => new Promise((resolve) => setImmediate(resolve)),
        afterArrivals: setImmediate,
      },
    })
    const answer = batcher.submit({ name: 'a' })
    await turn()
    const stopped = batcher.stop()
    batches[0]!.answer()
    await stopped
    expect(await answer).toBe('did a')
    await expect(batcher.submit({ name: 'b' })).rejects.toBeInstanceOf(Overloaded)
  })
})

describe('what may not leave yet', () => {
  const held = (mayLeave: Promise<void>) =>
    scripted({ run: async (_lane, commands) => ({ outcomes: commands.map(({ name }) => `did ${name}`), mayLeave }) })

  test('is answered when it may, while the lane and its keys go on', async () => {
    const gate = Promise.withResolvers<void>()
    const { batcher, turn } = held(gate.promise)
    const answered: string[] = []
    for (const name of ['a', 'b']) void batcher.submit({ name, key: 'same' }).then((answer) => answered.push(answer))
    for (let turns = 0; turns < 5; turns++) await turn()
    expect(answered).toEqual([])
    expect(batcher.load()).toMatchObject({ inFlight: 2, idleLanes: 1, queuedRows: 0 })
    gate.resolve()
    await turn()
    expect(answered.toSorted()).toEqual(['did a', 'did b'])
  })

  test('is rejected, all of it, when it may not leave at all, and nothing is run again', async () => {
    const gate = Promise.withResolvers<void>()
    const { batcher, turn } = held(gate.promise)
    const answers = Promise.allSettled(['a', 'b'].map((name) => batcher.submit({ name })))
    await turn()
    gate.reject(new DatabaseUnavailable('gate_shut', 'the standby is out of reach', true))
    for (const answer of await answers) expect(answer).toMatchObject({ reason: { mayHaveHappened: true } })
    expect(batcher.load().inFlight).toBe(0)
  })
})

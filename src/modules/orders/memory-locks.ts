// Row locks as PostgreSQL keeps them, for the memory store: held until the transaction ends, handed on in the order asked,
// a circle of waiters is refused. What is locked is a name, such as `row 7`; so are the slots of unique keys.
import { StatementFailed } from '../../runtime/pg-failure.ts'

/** A transaction, as far as locks know it. */
export type LockOwner = { waitsFor: string | null; holds: Set<string>; hasEnded: boolean }

type Waiter = { owner: LockOwner; granted(): void; refused(error: unknown): void }
type Lock = { owner: LockOwner; queue: Waiter[] }

export function createLocks() {
  const locks = new Map<string, Lock>()

  function grant(owner: LockOwner, name: string, queue: Waiter[]): void {
    locks.set(name, { owner, queue })
    owner.holds.add(name)
    owner.waitsFor = null
  }

  /** At once, or when every transaction that asked before has ended. */
  function acquire(owner: LockOwner, name: string): Promise<void> {
    if (owner.hasEnded) return Promise.reject(new Error('a transaction that has ended asks for a lock'))
    const lock = locks.get(name)
    if (lock && lock.owner !== owner) return waitFor(owner, name, lock)
    if (!lock) grant(owner, name, [])
    return Promise.resolve()
  }

  function waitFor(owner: LockOwner, name: string, lock: Lock): Promise<void> {
    if (isCircle(owner, lock.owner)) return Promise.reject(new StatementFailed('rerun', '40P01', 'deadlock detected'))
    owner.waitsFor = name
    return new Promise((granted, refused) => lock.queue.push({ owner, granted, refused }))
  }

  function isCircle(owner: LockOwner, holder: LockOwner): boolean {
    for (
      let next: LockOwner | undefined = holder;
      next;
      next = next.waitsFor === null ? undefined : locks.get(next.waitsFor)?.owner
    ) {
      if (next === owner) return true
    }
    return false
  }

  /** False when another transaction has it: `skip locked`. */
  function tryAcquire(owner: LockOwner, name: string): boolean {
    if (owner.hasEnded) return false
    const lock = locks.get(name)
    if (!lock) grant(owner, name, [])
    return !lock || lock.owner === owner
  }

  /** The transaction has ended, or its session is gone. */
  function releaseAll(owner: LockOwner, error: unknown): void {
    owner.hasEnded = true
    if (owner.waitsFor !== null) leaveQueue(owner, owner.waitsFor, error)
    for (const name of owner.holds) {
      const [next, ...queue] = locks.get(name)!.queue
      locks.delete(name)
      if (!next) continue
      grant(next.owner, name, queue)
      next.granted()
    }
    owner.holds.clear()
  }

  function leaveQueue(owner: LockOwner, name: string, error: unknown): void {
    const queue = locks.get(name)!.queue
    const [waiter] = queue.splice(
      queue.findIndex((one) => one.owner === owner),
      1,
    )
    owner.waitsFor = null
    waiter!.refused(error)
  }

  return {
    acquire,
    tryAcquire,
    releaseAll,
    areAwaited: (): boolean => [...locks.values()].some((lock) => lock.queue.length > 0),
  }
}

export type Locks = ReturnType<typeof createLocks>

// A broken promise, named as in DESIGN.md. The simulator stops at the first.

export type Promised =
  | 'P1'
  | 'P2'
  | 'P3'
  | 'P4'
  | 'P5'
  | 'P7'
  | 'conservation'
  | 'expiry'
  | 'counters'
  | 'answers'
  | 'ends'

export class Violation extends Error {
  override readonly name = 'Violation'
  readonly promise: Promised

  constructor(promise: Promised, message: string) {
    super(`${promise}: ${message}`)
    this.promise = promise
  }
}

// What the doctor finds: where, what is wrong, and what to do about it, each in a sentence or two.

export type Finding = {
  /** A cell, or `database`. */
  where: string
  /** Stable, for scripts. */
  check: string
  wrong: string
  do: string
}

export const finding =
  (where: string) =>
  (check: string, wrong: string, what: string): Finding => ({ where, check, wrong, do: what })

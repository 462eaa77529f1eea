// What is broken on purpose in this process, to see what a failing world does to it. Only the development profile has routes that
// change it; everybody else reads of it that nothing is broken.

export type Faults = {
  /** Nothing goes to other cells, and nothing comes from them, as if the network were cut. */
  cutOff: boolean
  provider: ProviderFaults
}

/** Of the test provider. */
export type ProviderFaults = {
  /** How much later it answers than it would. */
  delayMs: number
  /** Which part of what it does is never answered, 0 to 1. */
  lostAnswers: number
}

export const noFaults = (): Faults => ({ cutOff: false, provider: { delayMs: 0, lostAnswers: 0 } })

// Contenders take turns (A B A B …), so that what disturbs the machine disturbs all of them, and the middle turn counts.

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** The result of every contender's turn, by round. */
export async function takeTurns<Results extends Record<string, unknown>>(
  rounds: number,
  contenders: { [Name in keyof Results]: (round: number) => Promise<Results[Name]> },
): Promise<{ [Name in keyof Results]: Results[Name][] }> {
  const names = Object.keys(contenders) as (keyof Results)[]
  const results = Object.fromEntries(names.map((name) => [name, []])) as unknown as {
    [Name in keyof Results]: Results[Name][]
  }
  for (let round = 1; round <= rounds; round++) {
    for (const name of names) results[name].push(await contenders[name](round))
  }
  return results
}

/** The middle of the rounds' own ratios: both sides of each were measured within a minute. */
export const medianRatio = (above: readonly number[], below: readonly number[]): number =>
  round(median(above.map((value, at) => value / below[at]!)), 3)

export function round(value: number, digits = 0): number {
  return Number(value.toFixed(digits))
}

// A guard, and what the code looks like without it.

/** Of one cell, or of many. */
export type Mutant = { name: string; guard: string; edits: Edit[]; world?: 'cells' }
type Edit = { file: string; from: string; to: string }

export const edit = (file: string, from: string, to: string): Edit => ({ file, from, to })

// What is sold in the chaos of cells: units that are scarce, a SKU that no cell ever runs out of, and one that is counted.
export const plentySku = 'plenty'
export const countedSku = 'counted'

const plenty = 3_000_000
const scarce = 30

export const firstUnits = (sku: string): number => (sku === plentySku || sku === countedSku ? plenty : scarce)

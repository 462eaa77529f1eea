// Where regions lie on the map: a city of each that clouds and carriers have in it. A region's name is the cell's without its
// number; one that is not known here is put where no land is, in a row, so that it can still be seen.

export type Place = { longitude: number; latitude: number }

const known: Record<string, [number, number]> = {
  af: [28.0, -26.2],
  ap: [103.8, 1.35],
  au: [151.2, -33.9],
  br: [-46.6, -23.5],
  ca: [-79.4, 43.7],
  ch: [8.5, 47.4],
  cn: [116.4, 39.9],
  de: [8.7, 50.1],
  es: [-3.7, 40.4],
  eu: [8.7, 50.1],
  fr: [2.35, 48.9],
  gb: [-0.1, 51.5],
  in: [72.9, 19.1],
  it: [9.2, 45.5],
  jp: [139.7, 35.7],
  kr: [127.0, 37.6],
  me: [55.3, 25.2],
  mx: [-99.1, 19.4],
  nl: [4.9, 52.4],
  sa: [-46.6, -23.5],
  se: [18.1, 59.3],
  sg: [103.8, 1.35],
  uk: [-0.1, 51.5],
  us: [-77.5, 39.0],
  use: [-77.5, 39.0],
  usw: [-121.3, 45.6],
  za: [28.0, -26.2],
}

/** By region; `unknownBefore` are the unknown ones that were placed already. */
export function placeOf(region: string, unknownBefore = 0): Place {
  const found = known[region] ?? known[region.replace(/[-_ ].*$/, '')]
  if (found) return { longitude: found[0], latitude: found[1] }
  return { longitude: -130 + 30 * unknownBefore, latitude: -42 }
}

export const isKnownRegion = (region: string): boolean => region in known || region.replace(/[-_ ].*$/, '') in known

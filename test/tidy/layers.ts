// Which way imports go: base -> types -> decide/store -> service -> routes -> gateway -> main/cli, with runtime beside them.
// Stock and orders are one unit of consistency, so orders may use stock's functions; every other module only its types.

/** A file may import from its own layer and from those before it. */
const layers = ['base', 'types', 'decide', 'store', 'service', 'routes', 'gateway', 'main'] as const
export type Layer = (typeof layers)[number] | 'runtime'

const fileLayers: Record<string, Layer> = {
  'types.ts': 'types',
  'schemas.ts': 'types',
  'life.ts': 'types',
  'states.ts': 'types',
  'settings.ts': 'types',
  'decide.ts': 'decide',
  'money.ts': 'decide',
  'batch-state.ts': 'decide',
  'keyed.ts': 'decide',
  'decide-payment.ts': 'decide',
  'decide-found.ts': 'decide',
  'decide-fulfilment.ts': 'decide',
  'decide-parcels.ts': 'decide',
  'decide-returns.ts': 'decide',
  'parcels.ts': 'decide',
  'due.ts': 'decide',
  'sourcing.ts': 'decide',
  'escrow.ts': 'decide',
  'decide-adjust.ts': 'decide',
  'decide-transfers.ts': 'decide',
  'store.ts': 'store',
  'settings-store.ts': 'store',
  'replica.ts': 'store',
  'stripe-store.ts': 'store',
  'routes.ts': 'routes',
  'delivery-routes.ts': 'routes',
  'settings-routes.ts': 'routes',
  'stripe-routes.ts': 'routes',
  'carry-out.ts': 'routes',
  'exchange-routes.ts': 'routes',
  'goods-routes.ts': 'routes',
  'life-routes.ts': 'routes',
  'payment-routes.ts': 'routes',
  'transfer-routes.ts': 'routes',
  'bulk.ts': 'routes',
}

export type Place = { layer: Layer; module: string | undefined }

/** Undefined for what is no part of the server. Of a module, a file without a layer of its own is a service. */
export function placeOf(path: string): Place | undefined {
  const [root, folder, module, ...rest] = path.split('/')
  if (root !== 'src') return undefined
  if (module === undefined) return { layer: 'main', module: undefined } // src/main.ts and its like
  switch (folder) {
    case 'base':
    case 'runtime':
    case 'gateway':
      return { layer: folder, module: undefined }
    case 'cli':
      return { layer: 'main', module: undefined }
    case 'modules':
      return { layer: fileLayers[rest.join('/')] ?? 'service', module }
    default:
      throw new Error(`${path} is in no folder that DESIGN names`)
  }
}

const mayUseFunctionsOf: Record<string, string> = { orders: 'stock' }

/** What is wrong with an import from one file of the server to another; undefined when nothing is. */
export function importFault(from: Place, to: Place, file: string, isType: boolean): string | undefined {
  if (from.layer === 'runtime') {
    if (to.layer === 'base' || to.layer === 'runtime') return undefined
    return 'runtime knows no commerce: hand it in as a function or a value'
  }
  const rank = layers.indexOf(from.layer)
  if (to.layer === 'runtime') {
    if (from.layer === 'base') return 'base imports only base: move what it needs there'
    const isPure = rank <= layers.indexOf('decide')
    return isPure && !isType ? 'pure code takes only types from runtime: hand the value in' : undefined
  }
  if (layers.indexOf(to.layer) > rank) return `imports go ${layers.join(' -> ')}: hand it in instead`
  if (from.module && to.module && from.module !== to.module && mayUseFunctionsOf[from.module] !== to.module) {
    if (!isType) return `between modules only \`import type\`: hand the function in, in src/cell.ts`
    if (!/\/(types|service)\.ts$/.test(file)) return 'between modules only from types.ts or service.ts'
  }
  return undefined
}

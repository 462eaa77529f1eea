// What can be set, in one table: `holdfast start --help` and docs/generated/CONFIG.md are made from it, and everything
// is checked here once, so that the rest of the program sees only values that hold. A flag wins over its variable.
import { parseArgs } from 'node:util'
import { type CellName, isCellName } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { type CellTerms, durabilities, onIsolations } from '../base/topology.ts'
import { type DatabaseUrl, serversOf } from './database-url.ts'
import { StartFailure } from './start-failure.ts'

export type Profile = 'development' | 'production'
export type LogLevel = (typeof logLevels)[number]

export type Config = {
  port: number
  host: string
  data: string
  /** Undefined: the embedded PostgreSQL. */
  databaseUrl: string | undefined
  profile: Profile
  cells: CellName[]
  /** These three are of cells that are new: afterwards the topology has them. Undefined: not given. */
  durability: CellTerms['durability'] | undefined
  standbyRegion: string | undefined
  onIsolation: CellTerms['onIsolation'] | undefined
  /** They are what a new data folder gets; in one that has had others since, those run too. */
  standardCells: boolean
  /** A file. Undefined: made from the cells that are started. */
  topology: string | undefined
  /** A file. Undefined: in the cell's folder. */
  cellKey: string | undefined
  /** Added to each message between cells, each way. */
  latencyMs: number
  lanes: number
  batchRowsMax: number
  diskFreeMinMib: number
  logLevel: LogLevel
  jsonLogs: boolean
  /** Of endpoints of webhooks, outside the development profile. */
  webhookPorts: number[]
  /** Cells may call each other without TLS beyond loopback. */
  httpBetweenCells: boolean
  /** Of pages that may read what the cells answer, besides their own. */
  corsOrigins: string[]
  /** Where traces are sent, by OTLP/HTTP; undefined: nowhere. */
  otlpEndpoint: string | undefined
  /** Of requests that come without a trace. */
  traceRatio: number
  /** Where people look at a trace, with `{trace_id}` for its id; undefined: the control room tells the id alone. */
  traceLink: string | undefined
  /** Null: not offered. */
  stripe: StripeConfig | null
}

export type StripeConfig = { secretKey: string; webhookSecret: string; apiBase: string }

export type Option = {
  /** Without the dashes. Its variable is HOLDFAST_ and the same in capitals. */
  flag: string
  /** What stands after the flag; a switch has none. */
  value?: string
  default?: string
  /** Read where neither the flag nor its own variable is given. */
  otherVariable?: string
  meaning: string
  /** What is wrong with a text, to be read after "--flag ". */
  problem(text: string): string | undefined
}

const loneCell = 'eu1'
const threeCells = 'eu1,us1,ap1'

const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const

export const optionTable = [
  {
    flag: 'port',
    value: 'PORT',
    default: '8080',
    meaning: 'Where the API of the first cell listens, the others on the ports after it; 0 takes a free port for each.',
    problem: (text) => wholeNumber(text, 0, 65_535),
  },
  {
    flag: 'host',
    value: 'HOST',
    default: '127.0.0.1',
    meaning: 'The address to listen on. The development profile, whose keys everybody knows, takes loopback only.',
    problem: (text) => (text === '' || /\s/.test(text) ? 'must be a host name or an address' : undefined),
  },
  {
    flag: 'data',
    value: 'DIR',
    default: '.holdfast',
    meaning: 'The data folder; each cell keeps its own in DIR/<cell>.',
    problem: (text) => (text === '' || text.includes('\0') ? 'must be a folder' : undefined),
  },
  {
    flag: 'database-url',
    value: 'URL',
    meaning:
      'Your own PostgreSQL (14 or newer) instead of the embedded one, as postgres://user:password@host:5432/database. With standbys: one:5432,two:5432 for the host; whichever can be written to is used, after a failover too. For one cell.',
    problem: databaseUrlProblem,
  },
  {
    flag: 'profile',
    value: 'NAME',
    default: 'development',
    meaning: 'development (accepts the keys sk_dev and pk_dev, on loopback only) or production.',
    problem: (text) => oneOf(text, ['development', 'production']),
  },
  {
    flag: 'cells',
    value: 'NAMES',
    default: threeCells,
    meaning: `The cells to run: a region and a number each. With --database-url and in production ${loneCell} alone, unless named.`,
    problem: cellsProblem,
  },
  {
    flag: 'durability',
    value: 'NAME',
    meaning:
      'Of cells that are new: local, unless said (what is answered is on the cell’s own disk), or geo (it is on a synchronous standby in another region as well). Later holdfast cells set changes it.',
    problem: (text) => oneOf(text, durabilities),
  },
  {
    flag: 'standby-region',
    value: 'REGION',
    meaning:
      'Of cells that are new and geo: where their standby is; far, unless said. That of the embedded PostgreSQL is in DIR/<cell>/standby-<region>.',
    problem: (text) => (/^[a-z]([a-z0-9]{0,14}[a-z])?$/.test(text) ? undefined : 'must be a region, such as us'),
  },
  {
    flag: 'on-isolation',
    value: 'WORD',
    meaning:
      'Of cells that are new: what they do while they hear no other cell. sell, unless said, or stop. Later holdfast cells set changes it.',
    problem: (text) => oneOf(text, onIsolations),
  },
  {
    flag: 'topology',
    value: 'FILE',
    meaning: 'Zones, regions and cells, as JSON. Without it the cells of the data folder know each other.',
    problem: fileProblem,
  },
  {
    flag: 'cell-key',
    value: 'FILE',
    meaning: 'The private key by which the other cells know this one, for one cell; else DIR/<cell>/cell.key.',
    problem: fileProblem,
  },
  {
    flag: 'latency',
    value: 'TIME',
    default: '0ms',
    meaning: `Makes a way to another cell and back take so much longer, up to ${limits.latencyMsMax}ms: to feel distance in development.`,
    problem: latencyProblem,
  },
  {
    flag: 'lanes',
    value: 'N',
    default: String(limits.lanes),
    meaning: 'How many batches the engine commits side by side.',
    problem: (text) => wholeNumber(text, 1, 16),
  },
  {
    flag: 'batch-rows-max',
    value: 'N',
    default: String(limits.batchRowsMax),
    meaning: 'How many rows of the database one batch may touch; a command that touches more is a batch of its own.',
    problem: (text) => wholeNumber(text, 1, 100_000),
  },
  {
    flag: 'disk-free-min',
    value: 'MIB',
    default: '512',
    meaning: 'Does not start with less free space on the disk of the data folder.',
    problem: (text) => wholeNumber(text, 64, 100_000_000),
  },
  {
    flag: 'webhook-ports',
    value: 'PORTS',
    default: '443,8443',
    meaning: 'Where endpoints of webhooks may listen: 443 or ports above 1024. The development profile takes any.',
    problem: portsProblem,
  },
  {
    flag: 'http-between-cells',
    meaning:
      'Cells may have plain http URLs that are not on loopback: for a private network. HOLDFAST_HTTP_BETWEEN_CELLS=true does the same.',
    problem: (text) => oneOf(text, ['true', 'false']),
  },
  {
    flag: 'cors-origins',
    value: 'ORIGINS',
    meaning:
      'Pages of these origins may call the API from browsers, such as https://shop.example, joined by commas. Those of the cells always may.',
    problem: originsProblem,
  },
  {
    flag: 'otlp-endpoint',
    value: 'URL',
    otherVariable: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    meaning:
      'Sends traces to URL/v1/traces by OTLP/HTTP, as JSON, with the headers of OTEL_EXPORTER_OTLP_HEADERS. Without it there are none. OTEL_EXPORTER_OTLP_ENDPOINT does the same.',
    problem: otlpProblem,
  },
  {
    flag: 'trace-ratio',
    value: 'RATIO',
    default: String(limits.traceRatio),
    meaning:
      'The share of requests that are traced, 0 to 1. Where the caller sends a traceparent, its sampled flag decides.',
    problem: (text) => (/^(0|1|0?\.\d{1,9}|1\.0+|0\.0)$/.test(text) ? undefined : 'must be a number from 0 to 1'),
  },
  {
    flag: 'trace-link',
    value: 'URL',
    meaning:
      'Where people look at a trace, with {trace_id} for its id, such as http://127.0.0.1:16686/trace/{trace_id}: the control room links there from the events of an order.',
    problem: traceLinkProblem,
  },
  {
    flag: 'log-level',
    value: 'LEVEL',
    default: 'info',
    meaning: `${logLevels.join(', ')}.`,
    problem: (text) => oneOf(text, logLevels),
  },
  {
    flag: 'json-logs',
    meaning: 'One JSON object a line instead of text. HOLDFAST_JSON_LOGS=true does the same.',
    problem: (text) => oneOf(text, ['true', 'false']),
  },
] as const satisfies readonly Option[]

/** Set by their variables alone: what stands on a command line is read by everybody on the machine. */
export const variableTable = [
  {
    name: 'HOLDFAST_STRIPE_SECRET_KEY',
    meaning: 'Offers the payment provider `stripe`: a secret or restricted key of the account.',
    problem: (text) =>
      /^[sr]k_(test|live)_[A-Za-z0-9]+$/.test(text) ? undefined : 'must be a secret or restricted key of Stripe',
  },
  {
    name: 'HOLDFAST_STRIPE_WEBHOOK_SECRET',
    meaning: 'The signing secret of the webhook endpoint at Stripe that posts to `/v1/providers/stripe/webhooks`.',
    problem: (text) => (/^whsec_\S+$/.test(text) ? undefined : 'must begin with whsec_'),
  },
  {
    name: 'HOLDFAST_STRIPE_API_BASE',
    default: 'https://api.stripe.com',
    meaning: 'Where Stripe answers; another address for tests only.',
    problem: apiBaseProblem,
  },
] as const satisfies readonly Variable[]

export type Variable = {
  name: string
  default?: string
  meaning: string
  /** What is wrong with a text, to be read after the name. It never shows the text. */
  problem(text: string): string | undefined
}

export type Flag = (typeof optionTable)[number]['flag']

export const environmentName = (flag: string): string => `HOLDFAST_${flag.replaceAll('-', '_').toUpperCase()}`

/** Reads flags, then variables, then defaults. Throws StartFailure `usage` with the first thing that is wrong. */
export function readConfig(args: readonly string[], environment: Record<string, string | undefined>): Config {
  const given = parseFlags(args)
  const text = (flag: Flag, otherwise?: string): string | undefined => {
    const option: Option = optionTable.find((one) => one.flag === flag)!
    const variables = [environmentName(flag), ...(option.otherVariable ? [option.otherVariable] : [])]
    const name = variables.find((one) => environment[one])
    const found = given[flag] ?? (name && environment[name])
    const problem = found === undefined ? undefined : option.problem(found)
    if (problem)
      throw new StartFailure(
        'usage',
        `${given[flag] === undefined ? name : `--${flag}`} ${problem}${shown(flag, found)}.`,
      )
    return found ?? otherwise ?? option.default
  }
  const databaseUrl = text('database-url')
  const profile = text('profile') as Profile
  const standardCells = databaseUrl || profile === 'production' ? loneCell : threeCells
  const cells = text('cells', standardCells)!
  const config: Config = {
    port: Number(text('port')),
    host: text('host')!,
    data: text('data')!,
    databaseUrl,
    profile,
    durability: text('durability') as Config['durability'],
    standbyRegion: text('standby-region'),
    onIsolation: text('on-isolation') as Config['onIsolation'],
    cells: cells.split(',') as CellName[],
    standardCells: cells === standardCells,
    topology: text('topology'),
    cellKey: text('cell-key'),
    latencyMs: Number.parseInt(text('latency')!, 10),
    lanes: Number(text('lanes')),
    batchRowsMax: Number(text('batch-rows-max')),
    diskFreeMinMib: Number(text('disk-free-min')),
    logLevel: text('log-level') as LogLevel,
    jsonLogs: text('json-logs') === 'true',
    webhookPorts: text('webhook-ports')!.split(',').map(Number),
    httpBetweenCells: text('http-between-cells') === 'true',
    corsOrigins: text('cors-origins')?.split(',') ?? [],
    otlpEndpoint: text('otlp-endpoint'),
    traceRatio: Number(text('trace-ratio')),
    traceLink: text('trace-link'),
    stripe: readStripe(environment),
  }
  refuseTogether(config)
  return config
}

function readStripe(environment: Record<string, string | undefined>): StripeConfig | null {
  const text = (name: (typeof variableTable)[number]['name']): string | undefined => {
    const variable: Variable = variableTable.find((one) => one.name === name)!
    const found = environment[name] === '' ? undefined : environment[name]
    const problem = found === undefined ? undefined : variable.problem(found)
    if (problem) throw new StartFailure('usage', `${name} ${problem}.`)
    return found ?? variable.default
  }
  const secretKey = text('HOLDFAST_STRIPE_SECRET_KEY')
  const webhookSecret = text('HOLDFAST_STRIPE_WEBHOOK_SECRET')
  const apiBase = text('HOLDFAST_STRIPE_API_BASE')!
  if (secretKey === undefined && webhookSecret === undefined) return null
  if (secretKey === undefined || webhookSecret === undefined)
    throw new StartFailure(
      'usage',
      'HOLDFAST_STRIPE_SECRET_KEY and HOLDFAST_STRIPE_WEBHOOK_SECRET are set together, or neither is.',
    )
  return { secretKey, webhookSecret, apiBase }
}

/** The flags that make another process read the same configuration. */
export function configFlags(config: Config): string[] {
  const flags = [
    `--port=${config.port}`,
    `--host=${config.host}`,
    `--data=${config.data}`,
    `--profile=${config.profile}`,
    `--cells=${config.cells.join(',')}`,
    `--latency=${config.latencyMs}ms`,
    `--lanes=${config.lanes}`,
    `--batch-rows-max=${config.batchRowsMax}`,
    `--disk-free-min=${config.diskFreeMinMib}`,
    `--log-level=${config.logLevel}`,
    `--webhook-ports=${config.webhookPorts.join(',')}`,
    `--trace-ratio=${config.traceRatio}`,
  ]
  if (config.durability) flags.push(`--durability=${config.durability}`)
  if (config.standbyRegion) flags.push(`--standby-region=${config.standbyRegion}`)
  if (config.onIsolation) flags.push(`--on-isolation=${config.onIsolation}`)
  if (config.httpBetweenCells) flags.push('--http-between-cells')
  if (config.corsOrigins.length > 0) flags.push(`--cors-origins=${config.corsOrigins.join(',')}`)
  if (config.otlpEndpoint) flags.push(`--otlp-endpoint=${config.otlpEndpoint}`)
  if (config.traceLink) flags.push(`--trace-link=${config.traceLink}`)
  if (config.topology) flags.push(`--topology=${config.topology}`)
  if (config.cellKey) flags.push(`--cell-key=${config.cellKey}`)
  return config.jsonLogs ? [...flags, '--json-logs'] : flags
}

/** Of a cell that is new. */
export function termsOf(config: Partial<Pick<Config, 'durability' | 'standbyRegion' | 'onIsolation'>>): CellTerms {
  const { durability = 'local', standbyRegion = 'far', onIsolation = 'sell' } = config
  return { durability, onIsolation, standby: durability === 'geo' ? { region: standbyRegion } : null }
}

/** Flags that say something else than the topology, which counts, as sentences. */
export function overruledFlags(config: Config, { durability, onIsolation, standby }: CellTerms): string[] {
  const isGeo = durability === 'geo'
  const pairs: [flag: string, given: string | undefined, now: string][] = [
    ['durability', config.durability, durability],
    ['standby-region', isGeo ? config.standbyRegion : undefined, standby?.region ?? ''],
    ['on-isolation', config.onIsolation, onIsolation],
  ]
  return pairs.flatMap(([flag, given, now]) =>
    given === undefined || given === now ? [] : [`--${flag} ${given} is passed over: the topology says ${now}`],
  )
}

function parseFlags(args: readonly string[]): Partial<Record<Flag, string>> {
  const options = Object.fromEntries(
    optionTable.map((option: Option) => [
      option.flag,
      { type: option.value ? ('string' as const) : ('boolean' as const) },
    ]),
  )
  try {
    const { values } = parseArgs({ args: [...args], options, strict: true, allowPositionals: false })
    return Object.fromEntries(Object.entries(values).map(([flag, value]) => [flag, String(value)]))
  } catch (error) {
    const said = (error as Error).message.split('. ')[0]!.replace(/\.$/, '')
    throw new StartFailure('usage', `${said}. See holdfast start --help.`)
  }
}

/** Values that are right one by one and wrong together. */
function refuseTogether(config: Config): void {
  if (config.profile === 'development' && config.stripe && /^.k_live_/.test(config.stripe.secretKey))
    throw new StartFailure(
      'usage',
      'HOLDFAST_STRIPE_SECRET_KEY: the development profile, whose keys everybody knows, takes test keys only; use --profile production.',
    )
  if (config.databaseUrl && config.cells.length > 1)
    throw new StartFailure(
      'usage',
      `--cells ${config.cells.join(',')}: each cell has a database of its own, so --database-url takes one cell.`,
    )
  if (config.cellKey && config.cells.length > 1)
    throw new StartFailure('usage', `--cell-key is of one cell, and --cells names ${config.cells.join(', ')}.`)
  if (config.profile === 'production' && config.cells.length > 1 && !config.topology)
    throw new StartFailure('usage', 'In production several cells are told of each other by --topology.')
  if (config.profile === 'production' && config.latencyMs > 0)
    throw new StartFailure('usage', '--latency is for the development profile.')
  if (config.profile === 'development' && !isLoopback(config.host))
    throw new StartFailure(
      'usage',
      `--host ${config.host}: the development profile listens on loopback only (127.0.0.1, ::1, localhost); use --profile production.`,
    )
}

export const isLoopback = (host: string): boolean =>
  /^(localhost|::1|\[::1\]|127\.\d{1,3}\.\d{1,3}\.\d{1,3})$/i.test(host)

function wholeNumber(text: string, min: number, max: number): string | undefined {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  return number >= min && number <= max ? undefined : `must be a whole number from ${min} to ${max}`
}

const oneOf = (text: string, known: readonly string[]): string | undefined =>
  known.includes(text) ? undefined : `must be one of ${known.join(', ')}`

function portsProblem(text: string): string | undefined {
  const isAllowed = (port: string): boolean =>
    /^\d{3,5}$/.test(port) && (port === '443' || (+port > 1024 && +port < 65_536))
  return text.split(',').every(isAllowed) ? undefined : 'must be 443 or ports above 1024, joined by commas'
}

function cellsProblem(text: string): string | undefined {
  const names = text.split(',')
  if (!names.every(isCellName)) return 'must be names like eu1 (a region and a number), joined by commas'
  return new Set(names).size === names.length ? undefined : 'names a cell twice'
}

function originsProblem(text: string): string | undefined {
  const isOrigin = (one: string): boolean => /^https?:/.test(one) && URL.canParse(one) && new URL(one).origin === one
  return text.split(',').every(isOrigin) ? undefined : 'must be origins like https://shop.example, joined by commas'
}

function fileProblem(text: string): string | undefined {
  return text === '' || text.includes('\0') ? 'must be a file' : undefined
}

function latencyProblem(text: string): string | undefined {
  const ms = Number(/^(\d{1,6})(ms)?$/.exec(text)?.[1])
  return ms <= limits.latencyMsMax ? undefined : `must be like 80ms, up to ${limits.latencyMsMax}ms`
}

function databaseUrlProblem(text: string): string | undefined {
  const [server] = /^postgres(ql)?:\/\//.test(text) ? serversIn(text) : []
  if (!server) return 'must look like postgres://user:password@host:5432/database'
  return new URL(server).pathname.length > 1 ? undefined : 'names no database'
}

function serversIn(text: string): DatabaseUrl[] {
  try {
    return serversOf(text)
  } catch {
    return []
  }
}

/** A password would stand in the list of processes: it belongs into OTEL_EXPORTER_OTLP_HEADERS. */
function otlpProblem(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isPlain = url && url.username === '' && url.password === '' && url.search === '' && url.hash === ''
  return isPlain && /^https?:$/.test(url.protocol) ? undefined : 'must look like http://127.0.0.1:4318'
}

function traceLinkProblem(text: string): string | undefined {
  const isLink = text.includes('{trace_id}') && /^https?:\/\//.test(text) && URL.canParse(text)
  return isLink ? undefined : 'must look like http://127.0.0.1:16686/trace/{trace_id}'
}

/** A plain address would show the key to the network; loopback is where a stand-in listens. */
function apiBaseProblem(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.pathname !== '/' || url.search !== '') return 'must look like https://host or http://127.0.0.1:port'
  if (url.protocol === 'https:') return undefined
  return url.protocol === 'http:' && isLoopback(url.hostname) ? undefined : 'must be https, or http on loopback'
}

/** What was given, unless it may hold a password. */
const shown = (flag: Flag, found: string | undefined): string =>
  flag === 'database-url' || flag === 'otlp-endpoint' ? '' : `, not ${JSON.stringify(found)}`

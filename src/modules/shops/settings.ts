// What a shop may set: the one definition, with defaults and meanings. Bodies are validated by it, docs/SETTINGS.md and
// OpenAPI are made from it, and the engine's terms and the risk rules are read from it. What was stored before a field
// existed takes that field's default.
import { type Static, Type } from 'typebox'
import { isCountry } from '../../base/countries.ts'
import { limits } from '../../base/limits.ts'
import { amountMax, isCurrency } from '../../base/money.ts'
import { refusedField } from '../../base/problem.ts'
import type { Refused } from '../../base/result.ts'
import { closed, listOf, oneOf, ref, Time } from '../../base/schemas.ts'
import type { RiskList, RiskRules } from '../risk/types.ts'
import type { ShopTerms } from './types.ts'

const hourMs = 60 * 60 * 1000
const dayMs = 24 * hourMs

const amounts = (description: string) =>
  Type.Unsafe<Record<string, number>>({
    type: 'object',
    maxProperties: limits.riskAmountsMax,
    propertyNames: { pattern: '^[A-Z]{3}$' },
    additionalProperties: { type: 'integer', minimum: 0, maximum: amountMax },
    default: {},
    description,
  })

const words = (pattern: string, description: string) =>
  Type.Unsafe<string[]>({
    type: 'array',
    items: { type: 'string', maxLength: limits.emailCharactersMax, pattern },
    maxItems: limits.riskListMax,
    uniqueItems: true,
    default: [],
    description,
  })

const list = (done: string) =>
  closed({
    emails: words(
      '^[^\\s@]+@[^\\s@]+$',
      `E-mail addresses whose orders are ${done}; case does not matter. Only cells of the zone in which they were set have them: each zone has lists of its own.`,
    ),
    email_domains: words('^[^\\s@.]+(\\.[^\\s@.]+)*$', `Domains, with their subdomains, whose orders are ${done}.`),
    countries: words('^[A-Z]{2}$', `Countries to which orders are ${done}.`),
  })

const ordersPerHour = (who: string) =>
  Type.Unsafe<number | null>({
    anyOf: [{ type: 'integer', minimum: 1, maximum: limits.riskOrdersPerHourMax }, { type: 'null' }],
    default: null,
    description: `Orders within an hour that ${who} may place; further ones are reviewed.`,
  })

const fields = {
  capture: oneOf(['now', 'at_shipment'], {
    default: 'now',
    description:
      'When the money is taken: `now`, with the order, which is confirmed when it is captured; `at_shipment`, when its first parcel leaves: the order is confirmed when the money is authorized.',
  }),
  reservation_seconds: Type.Integer({
    minimum: 60,
    maximum: 86_400,
    default: limits.orderReservationMsDefault / 1000,
    description: 'How long an unpaid order keeps its units.',
  }),
  payments: closed({
    authorization_days: Type.Integer({
      minimum: 2,
      maximum: 31,
      default: limits.authorizationMsDefault / dayMs,
      description:
        'How long the shop’s providers keep money set aside. An order whose authorization has run out waits for another payment, as long as a new order would.',
    }),
    capture_lead_hours: Type.Integer({
      minimum: 1,
      maximum: 47,
      default: limits.captureLeadMsDefault / hourMs,
      description: 'The capture deadline of what is set aside: so long before its authorization ends.',
    }),
    at_capture_deadline: oneOf(['capture', 'cancel'], {
      default: 'capture',
      description:
        'What becomes of an order that was not shipped by its capture deadline: `capture`, its money is taken; `cancel`, it is cancelled (`unpaid`), its units are sold again and its authorization is voided. One in review is not captured: with `capture`, its authorization runs out.',
    }),
  }),
  rounding: oneOf(['down'], {
    default: 'down',
    description:
      'What some units of a line cost: the first k of n units, the line’s amount × k / n, rounded down to the minor unit; the last ones the rest, so that the parts sum up to the line’s amount.',
  }),
  risk: closed({
    review_above: amounts('Orders above this are reviewed: minor units by currency, such as `{"EUR":50000}`.'),
    refuse_above: amounts('Orders above this are refused.'),
    orders_per_hour: closed({ email: ordersPerHour('an e-mail address'), customer: ordersPerHour('a customer') }),
    review: list('reviewed'),
    refuse: list('refused'),
  }),
}
const Shape = closed(fields)
export type Settings = Static<typeof Shape>

type SchemaNode = { properties?: Record<string, SchemaNode>; default?: unknown }

/** The same with nothing required. */
function optional(schema: object): object {
  const { required: _, ...rest } = schema as SchemaNode & { required?: string[] }
  if (!rest.properties) return rest
  const properties = Object.entries(rest.properties).map(([name, inner]) => [name, optional(inner)])
  return { ...rest, properties: Object.fromEntries(properties) }
}

type Parts<T> = { [K in keyof T]?: T[K] extends readonly unknown[] ? T[K] : T[K] extends object ? Parts<T[K]> : T[K] }
export type SettingsBody = Parts<Settings>
export const SettingsBody = Type.Unsafe<SettingsBody>(optional(Shape))

const Versioned = Type.Object({
  ...fields,
  version: Type.Integer({ description: '0 until something is set.' }),
  changed_at: Type.Unsafe<string | null>({ anyOf: [Time, { type: 'null' }] }),
  changed_by: Type.Unsafe<string | null>({
    type: ['string', 'null'],
    description: 'Id of the key; null for the command line and the development keys.',
  }),
})
/** Named in OpenAPI. */
export const components = { Settings: Versioned, SettingsList: listOf(ref('Settings')) }

function withDefaults(schema: SchemaNode, value: unknown): unknown {
  if (!schema.properties) return value === undefined ? schema.default : value
  const given = (value ?? {}) as Record<string, unknown>
  return Object.fromEntries(
    Object.entries(schema.properties).map(([name, inner]) => [name, withDefaults(inner, given[name])]),
  )
}

/** Whole settings from the parts that were given. */
export const settingsOf = (given: SettingsBody): Settings => withDefaults(Shape as SchemaNode, given) as Settings
export const defaultSettings: Settings = settingsOf({})

/** As cells of another zone are told: the addresses of people stay where they were set. */
export function withoutPersonal(settings: SettingsBody): SettingsBody {
  const { risk } = settings
  if (!risk) return settings
  const [review, refuse] = [risk.review, risk.refuse].map((given) => {
    const { emails: _, ...rest } = given ?? {}
    return rest
  })
  return { ...settings, risk: { ...risk, review: review!, refuse: refuse! } }
}

/** What no schema can say: currencies and countries must exist. */
export function refusedSettings({ risk }: Settings): Refused | undefined {
  for (const field of ['review_above', 'refuse_above'] as const) {
    const unknown = Object.keys(risk[field]).find((currency) => !isCurrency(currency))
    if (unknown !== undefined) return refusedField('currency_unknown', `/risk/${field}/${unknown}`)
  }
  for (const field of ['review', 'refuse'] as const) {
    const at = risk[field].countries.findIndex((country) => !isCountry(country))
    if (at >= 0) return refusedField('country_unknown', `/risk/${field}/countries/${at}`)
  }
  return undefined
}

export const termsOf = ({ capture, reservation_seconds, payments }: Settings): ShopTerms => ({
  captureRule: capture,
  reservationMs: reservation_seconds * 1000,
  authorizationMs: payments.authorization_days * dayMs,
  captureLeadMs: payments.capture_lead_hours * hourMs,
  atCaptureDeadline: payments.at_capture_deadline,
})

/** Null when no rule is on, so that nothing is assessed at all. */
export function riskRulesOf({ risk }: Settings): RiskRules | null {
  const rules: RiskRules = {
    reviewAbove: new Map(Object.entries(risk.review_above)),
    refuseAbove: new Map(Object.entries(risk.refuse_above)),
    emailOrdersMax: risk.orders_per_hour.email,
    customerOrdersMax: risk.orders_per_hour.customer,
    review: riskListOf(risk.review),
    refuse: riskListOf(risk.refuse),
  }
  const isOn =
    rules.reviewAbove.size + rules.refuseAbove.size > 0 ||
    rules.emailOrdersMax !== null ||
    rules.customerOrdersMax !== null ||
    !isEmpty(rules.review) ||
    !isEmpty(rules.refuse)
  return isOn ? rules : null
}

const lower = (texts: readonly string[]): ReadonlySet<string> => new Set(texts.map((text) => text.toLowerCase()))

const riskListOf = (given: Settings['risk']['review']): RiskList => ({
  emails: lower(given.emails),
  emailDomains: lower(given.email_domains),
  countries: new Set(given.countries),
})

const isEmpty = ({ emails, emailDomains, countries }: RiskList): boolean =>
  emails.size + emailDomains.size + countries.size === 0

export type SettingRow = { name: string; default: unknown; meaning: string }

/** Every setting by its path, for the docs. */
export function settingRows(): SettingRow[] {
  const rowsOf = (schema: SchemaNode & { description?: string }, path: string): SettingRow[] =>
    schema.properties
      ? Object.entries(schema.properties).flatMap(([name, inner]) => rowsOf(inner, path ? `${path}.${name}` : name))
      : [{ name: path, default: schema.default, meaning: schema.description ?? '' }]
  return rowsOf(Shape as SchemaNode, '')
}

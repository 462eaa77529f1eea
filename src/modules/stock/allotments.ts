// Brings units to where they are wanted: asks other cells before this one is out, and at once when somebody has been refused.
// One ask a SKU is under way; who joins it tries again when it ends. What others ask is answered by the engine, like any command.
import { Compile } from 'typebox/compile'
import type { CellName, LocationCode, ShopId, Sku } from '../../base/ids.ts'
import type { Json } from '../../base/json.ts'
import { limits } from '../../base/limits.ts'
import { refused } from '../../base/result.ts'
import { type Instant, instant } from '../../base/time.ts'
import type { Clock } from '../../runtime/clock.ts'
import { RefusedRequest } from '../../runtime/http.ts'
import type { Span } from '../../runtime/tracing.ts'
import { skuKey } from './decide.ts'
import type { Demand } from './demand.ts'
import { isElderWant, sharesByDemand, unitsToAskFor } from './escrow.ts'
import { AskAnswer, AskMessage } from './peer-words.ts'
import { shortOf } from './sourcing.ts'
import type { CellShare, ReceiveUnits, SendUnits, Sent, StockRow } from './types.ts'

/** The other cells, as far as units are concerned. */
export type UnitPeers = {
  /** Nearest first. */
  others(): readonly CellName[]
  /** Draining ones are given nothing, and those that have told that nothing is left are not asked. */
  isActive(cell: CellName): boolean
  isUp(cell: CellName): boolean
  rttMs(cell: CellName): number
  /** Rejects when the other is out of reach, or refuses. */
  call(cell: CellName, message: string, body: Json, options: { deadlineMs: number; span?: Span | null }): Promise<Json>
}

export type AllotmentOptions = {
  cell: CellName
  peers: UnitPeers
  demand: Demand
  send(command: SendUnits): Promise<Sent>
  /** Answers what was credited. */
  receive(command: ReceiveUnits): Promise<number>
  clock: Pick<Clock, 'now' | 'elapsedMs' | 'sleep'>
  onError(error: unknown): void
}

/** `need` units of a SKU, of which there are `had`, are missing for something; of one place, if it has to be goods that lie there. */
export type Lack = { sku: Sku; need: number; had?: number; isUnknown?: boolean; location?: LocationCode }
/** `span`: of the request that waits, where that is sampled. */
type Gathering = { evenIfGrouped?: boolean; span?: Span | null | undefined }
/**
 * Whether any have come, or are known of now, so that it may be tried again; the cells where units are that stay with their group; and whether every
 * other cell has answered.
 */
export type Gathered = { came: boolean; grouped: CellName[]; isCertain: boolean }

export type Allotments = ReturnType<typeof createAllotments>

type Want = {
  shopId: ShopId
  sku: Sku
  key: string
  /** 0: nobody waits yet. */
  need: number
  wanted: number
  location: LocationCode | null
  evenIfGrouped: boolean
  /** Nothing of the SKU was ever here. */
  isUnknown: boolean
  /** Another cell has had some, so that it is known here from now on. */
  isKnownSince: boolean
  firstAskedAt: Instant
  /** What was here when somebody was refused, or else when it began. */
  had: number
  got: number
  wasKept: boolean
  /** A cell did not answer, or was down and not asked. */
  isUnheard: boolean
  /** Of the request that asked first. */
  span: Span | null
  livesIn: CellName | null
  ended: Promise<void>
  end(): void
}

/** Nobody had any: remembered for a moment, together with whether every other cell had been heard. */
type None = { untilMs: number; isCertain: boolean }

/** Asked for again and again, with growing pauses: what nobody has may never come. */
type Owed = { shopId: ShopId; debts: readonly Lack[]; asked: number; askAtMs: number; pauseMs: number }

const checkAsk = Compile(AskMessage)
const checkAnswer = Compile(AskAnswer)

export function createAllotments(options: AllotmentOptions) {
  const { cell, peers, demand, clock } = options
  const wants = new Map<string, Want>()
  /** Nobody is asked again for what is missed, or for what will be, since nobody had any to give. */
  const none = new Map<string, None>()
  const noneSpare = new Map<string, None>()
  /** Where a group of the shop was found last: asked first for the next of its many SKUs. */
  const lastHome = new Map<ShopId, CellName>()
  /** What is missing here, or sold beyond what is there, while others may have it. */
  const owed = new Map<string, Owed>()

  function open(shopId: ShopId, lack: Lack & { wanted: number; evenIfGrouped: boolean; span?: Span | null }): Want {
    const key = skuKey(shopId, lack.sku)
    const { promise, resolve } = Promise.withResolvers<void>()
    const { sku, need, wanted, evenIfGrouped, isUnknown = false, location = null, span = null } = lack
    const found = { got: 0, isKnownSince: false, wasKept: false, isUnheard: false, span, livesIn: null, ended: promise }
    const want: Want = {
      ...{ shopId, sku, key, need, wanted, location, evenIfGrouped, isUnknown, firstAskedAt: clock.now() },
      had: lack.had ?? demand.availableOf(shopId, sku),
      ...found,
      end() {
        wants.delete(key)
        resolve()
      },
    }
    wants.set(key, want)
    return want
  }

  /**
   * Units that are missing now. Of a SKU for which an ask is under way, its end is awaited; one that was only for later does
   * not count, since others give less to that.
   */
  async function gather(shopId: ShopId, lacks: readonly Lack[], how: Gathering = {}): Promise<Gathered> {
    const { evenIfGrouped = false, span = null } = how
    const forLater = lacks.flatMap(({ sku }) => wants.get(skuKey(shopId, sku)) ?? []).filter(({ need }) => need === 0)
    await Promise.all(forLater.map(({ ended }) => ended))
    const own: Want[] = []
    const joined: Want[] = []
    let isCertain = true
    for (const lack of lacks) {
      const key = skuKey(shopId, lack.sku)
      const underWay = wants.get(key)
      if (underWay) joined.push(underWay)
      else if (isQuiet(none, key)) isCertain &&= none.get(key)!.isCertain
      else own.push(open(shopId, { ...lack, wanted: wantedOf(shopId, lack.sku), evenIfGrouped, span }))
    }
    await Promise.all([...joined.map(({ ended }) => ended), fetchUnits(shopId, own)])
    const all = [...own, ...joined, ...forLater]
    isCertain &&= all.every(({ isUnheard }) => !isUnheard)
    return {
      came: all.some((want) => hasCome(want) || want.isKnownSince),
      grouped: all.flatMap(({ livesIn }) => livesIn ?? []),
      isCertain,
    }
  }

  /** By an answer, or meanwhile by the giver's log, which may be faster. */
  const hasCome = ({ shopId, sku, had, got }: Want): boolean => got > 0 || demand.availableOf(shopId, sku) > had

  /** Asks the cell that is likeliest to have enough, then the others, and again as long as one keeps its own for itself. */
  async function fetchUnits(shopId: ShopId, own: readonly Want[]): Promise<void> {
    if (own.length === 0) return
    try {
      for (let tries = 0; tries < limits.asksMax; tries++) {
        if (tries > 0) await clock.sleep(limits.keptPauseMs)
        if (!peers.others().every(peers.isUp)) for (const want of own) want.isUnheard = true
        const [first, ...others] = inOrderOfHope(shopId, own)
        if (first === undefined) break
        await askOf([first], shopId, own.filter(isLacking))
        const missed = own.filter((want) => want.need > 0 && isLacking(want))
        await askOf(others, shopId, missed)
        if (!own.some((want) => isLacking(want) && want.wasKept)) break
      }
    } catch (error) {
      for (const want of own) want.isUnheard = true
      options.onError(error)
    } finally {
      for (const want of own) {
        // Where a group lives is asked again at once, by an order over several.
        if (want.got === 0 && want.livesIn === null)
          rememberNone(want.need > 0 ? none : noneSpare, want.key, !want.isUnheard)
        want.end()
      }
    }
  }

  function rememberNone(nobody: Map<string, None>, key: string, isCertain: boolean): void {
    if (nobody.size >= limits.skusRememberedMax) nobody.clear()
    nobody.set(key, { untilMs: clock.elapsedMs() + limits.noneRememberedMs, isCertain })
  }

  const isQuiet = (nobody: ReadonlyMap<string, None>, key: string): boolean =>
    (nobody.get(key)?.untilMs ?? 0) > clock.elapsedMs()

  const isLacking = ({ got, need, livesIn }: Want): boolean => livesIn === null && (got === 0 || got < need)

  const mayHaveSome = (peer: CellName, { shopId, sku }: Want): boolean =>
    peers.isActive(peer) || demand.peerLeft(peer, shopId, sku) !== 0

  /** Those that are up: who had most when it last said so, then where groups were found, then the nearest. */
  function inOrderOfHope(shopId: ShopId, own: readonly Want[]): CellName[] {
    const hope = (peer: CellName): number =>
      own.reduce((sum, { sku, need }) => sum + Math.min(demand.peerLeft(peer, shopId, sku) ?? 1, Math.max(1, need)), 0)
    const isHome = (peer: CellName): boolean => lastHome.get(shopId) === peer
    return peers
      .others()
      .filter((peer) => peers.isUp(peer) && own.some((want) => mayHaveSome(peer, want)))
      .toSorted((a, b) => hope(b) - hope(a) || Number(isHome(b)) - Number(isHome(a)))
  }

  async function askOf(cells: readonly CellName[], shopId: ShopId, own: readonly Want[]): Promise<void> {
    if (own.length === 0) return
    for (const want of own) want.wasKept = false
    await Promise.all(cells.map((peer) => askOne(peer, shopId, own)))
  }

  async function askOne(peer: CellName, shopId: ShopId, own: readonly Want[]): Promise<void> {
    const firstAskedAt = Math.min(...own.map((want) => want.firstAskedAt))
    const asks = own.map(({ sku, need, got, wanted, location, evenIfGrouped, isUnknown }) => ({
      ...{ sku, need: Math.max(0, need - got), wanted, rate: demand.rateOf(shopId, sku) },
      ...{ available: Math.max(0, demand.availableOf(shopId, sku)), location, even_if_grouped: evenIfGrouped },
      is_known: !isUnknown,
    }))
    const body = { shop_id: shopId, first_asked_at: firstAskedAt, asks }
    const deadlineMs = Math.min(limits.askMsMax, limits.askMsMin + 4 * peers.rttMs(peer))
    let answer: Json
    try {
      answer = await peers.call(peer, 'ask', body, { deadlineMs, span: own.find(({ span }) => span)?.span ?? null })
    } catch {
      for (const want of own) want.isUnheard = true
      return // out of reach, or not willing: as if it had none
    }
    if (!checkAnswer.Check(answer) || answer.answers.length !== own.length)
      throw new Error(`${peer} answered an ask with something else`)
    await Promise.all(own.map((want, at) => takeAnswer(peer, want, answer.answers[at]!)))
  }

  async function takeAnswer(from: CellName, want: Want, answer: AskAnswer['answers'][number]): Promise<void> {
    const { shopId, sku } = want
    demand.heard(from, shopId, sku, { rate: answer.rate, left: answer.left })
    if (answer.kept) want.wasKept = true
    if (answer.lives_here) {
      want.livesIn = from
      lastHome.set(shopId, from)
    }
    if (!answer.known) return
    const totals = answer.totals.map((total) => ({ ...total, sku, location: total.location as LocationCode }))
    // The giver's log may have been faster, so that nothing is new in the totals; and a batch of the giver that ran again, its
    // COMMIT's answer lost, does not know that it has given.
    const command = { kind: 'receive_units' as const, shopId, from, totals, tracking: answer.tracking }
    const credited = totals.length > 0 ? await options.receive(command) : 0
    if (want.isUnknown && totals.length > 0) want.isKnownSince = true
    want.got += Math.max(answer.given, credited)
  }

  const wantedOf = (shopId: ShopId, sku: Sku): number =>
    Math.ceil((demand.rateOf(shopId, sku) * limits.askAheadMs) / 1_000)

  /** After a batch: what runs low is asked for, before anybody is refused. */
  function saw(rows: readonly StockRow[]): void {
    const [first] = rows
    if (!first) return
    demand.saw(rows)
    const { shopId, sku } = first
    const key = skuKey(shopId, sku)
    const debts = debtsOf(rows)
    if (debts.length === 0) owed.delete(key)
    else if (JSON.stringify(owed.get(key)?.debts) !== JSON.stringify(debts))
      owed.set(key, { shopId, debts, asked: 0, askAtMs: 0, pauseMs: limits.owedEveryMs })
    if (first.tracking === 'none' || wants.has(key) || isQuiet(none, key) || isQuiet(noneSpare, key)) return
    const [available, rate] = [demand.availableOf(shopId, sku), demand.rateOf(shopId, sku)]
    if (available * 1_000 > rate * limits.askMsMax) return // far from low, however far the others are
    const wanted = unitsToAskFor({ available, rate, refillMs: refillMs() })
    if (wanted > 0 && peers.isActive(cell)) askLater(shopId, { sku, need: 0, wanted })
  }

  /** What a count left short is asked for until it has come; to be called now and then. */
  function askForOwed(): void {
    const now = clock.elapsedMs()
    const due = [...owed]
      .filter(([key, { askAtMs }]) => askAtMs <= now && !wants.has(key))
      .slice(0, limits.owedAtOnceMax)
    const lacks = due.map(([, one]) => {
      const lack = one.debts[one.asked++ % one.debts.length]!
      const isLast = one.asked % one.debts.length === 0 // a SKU has one ask at a time, and one place an ask
      if (isLast) one.pauseMs = Math.min(limits.owedPauseMsMax, one.pauseMs * 2)
      one.askAtMs = now + (isLast ? one.pauseMs : limits.owedEveryMs)
      return { shopId: one.shopId, lack: { ...lack, wanted: 0 } }
    })
    for (const [shopId, of] of Map.groupBy(lacks, (one) => one.shopId)) askLater(shopId, ...of.map(({ lack }) => lack))
  }

  /** One message for all of them. */
  function askLater(shopId: ShopId, ...lacks: (Lack & { wanted: number })[]): void {
    if (!peers.others().some(peers.isUp)) return
    // What is owed was sold or counted already, and comes from where its group lives too.
    const own = lacks.map((lack) => open(shopId, { ...lack, evenIfGrouped: lack.need > 0 }))
    fetchUnits(shopId, own).catch(options.onError)
  }

  /** How long it takes to get more from whoever is near. */
  function refillMs(): number {
    const near = peers.others().find(peers.isUp)
    return limits.refillMsMin + 2 * (near === undefined ? 0 : peers.rttMs(near))
  }

  /** Another cell asks. */
  async function answerAsk(from: CellName, body: Json): Promise<Json> {
    if (!checkAsk.Check(body)) throw new RefusedRequest(refused('invalid_body', 'It asks for no units.'))
    const shopId = body.shop_id as ShopId
    const theirs = { firstAskedAt: instant(body.first_asked_at), cell: from }
    const answers = await Promise.all(
      body.asks.map(async ({ sku: text, even_if_grouped: evenIfGrouped, is_known: isKnown, location, ...ask }) => {
        const sku = text as Sku
        demand.heard(from, shopId, sku, { rate: ask.rate, left: ask.available })
        const own = wants.get(skuKey(shopId, sku))
        const isElder = own !== undefined && own.need > 0 && isElderWant({ ...own, cell }, theirs)
        const rate = demand.rateOf(shopId, sku)
        const stand = { rate, safety: Math.ceil((rate * refillMs()) / 1_000), isElder }
        const asked = { ...ask, location: location as LocationCode | null, evenIfGrouped, isKnown }
        const sent = await options.send({ kind: 'send_units', shopId, sku, to: from, ask: asked, own: stand })
        if (ask.need > 0) rememberNone(noneSpare, skuKey(shopId, sku), true) // what somebody waits for is not asked back for later
        return answerOf(sent, { rate, kept: isElder })
      }),
    )
    return { answers }
  }

  /**
   * Weights by which what is received here is split: this cell first, unless it leaves. Undefined when there is nobody to share
   * with.
   */
  function sharesOf(shopId: ShopId, sku: Sku): CellShare[] | undefined {
    const others = peers.others().filter((peer) => peers.isActive(peer) && peers.isUp(peer))
    if (others.length === 0) return undefined
    const rates = others.map((peer) => ({ cell: peer, rate: demand.peerRate(peer, shopId, sku) }))
    const own = peers.isActive(cell) ? [{ cell, rate: demand.rateOf(shopId, sku) }] : []
    return sharesByDemand([...own, ...rates])
  }

  return { saw, askForOwed, gather, sharesOf, answerAsk }
}

/** Goods that a count did not find have to come from their place; what was sold beyond what is there, from anywhere. */
function debtsOf(rows: readonly StockRow[]): Lack[] {
  const missing = rows.filter((row) => row.missing > 0)
  if (missing.length > 0) return missing.map((row) => ({ sku: row.sku, need: row.missing, location: row.location }))
  const need = shortOf(rows)
  return need > 0 ? [{ sku: rows[0]!.sku, need }] : []
}

const answerOf = (
  { isKnown, livesHere, given, left, totals, tracking }: Sent,
  more: { rate: number; kept: boolean },
) => ({
  ...{ known: isKnown, lives_here: livesHere, kept: more.kept && given === 0 && left > 0 },
  ...{ given, left, rate: more.rate, tracking },
  totals: totals.map(({ location, units, allowance }) => ({ location, units, allowance })),
})

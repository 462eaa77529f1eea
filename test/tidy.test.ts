// Holds what a machine can hold of docs/STYLE.md. Each rule answers the places that break it, and says what to do. What the
// linter or the compiler holds already (default exports, `any`, enums, unused locals) is not repeated here.
import { existsSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { posix } from 'node:path'
import { describe, expect, it } from 'vitest'
import { errorTable } from '../src/base/errors.ts'
import { limits } from '../src/base/limits.ts'
import { generatedFiles } from './generate/files.ts'
import { createDatabase } from './support/postgres.ts'
import { ownLinesOf } from './tidy/functions.ts'
import { importFault, placeOf } from './tidy/layers.ts'
import {
  lineOf,
  listFiles,
  type Node,
  nameOf,
  nodesIn,
  parseSource,
  readText,
  repository,
  type Source,
  targetOf,
} from './tidy/sources.ts'
import { requestsIn, textsIn } from './tidy/texts.ts'

const fileLinesMax = 500
const functionLinesMax = 80 // STYLE.md says about 70; the ten more are for those that would be worse in two

const files = listFiles()
const generated = new Set(['sdk/src/generated/api.ts'])
const sources = files.filter((path) => /\.tsx?$/.test(path) && !generated.has(path)).map((path) => parseSource(path))
const server = sources.filter(({ path }) => path.startsWith('src/'))
const isTest = ({ path }: Source): boolean => path.startsWith('test/')

/** Fails with every place at once, and with what to do about them. */
function expectNone(places: readonly string[], advice: string): void {
  expect(places, advice).toEqual([])
}

const at = (source: Source, node: { start: number }): string => `${source.path}:${lineOf(source, node)}`

/** The places of all nodes that `find` says something about. */
function findIn(among: readonly Source[], find: (node: Node, source: Source) => string | undefined): string[] {
  return among.flatMap((source) =>
    [...nodesIn(source.program)].flatMap((node) => {
      const found = find(node, source)
      return found === undefined ? [] : [`${at(source, node)} ${found}`]
    }),
  )
}

describe('imports', () => {
  it('go one way: base, types, decide, store, service, routes, gateway, main, with runtime beside them', () => {
    const faults = server.flatMap((source) =>
      source.imports.flatMap(({ from, line, isType }) => {
        const target = targetOf(source, from)
        const [mine, other] = [placeOf(source.path), target === undefined ? undefined : placeOf(target)]
        const fault = mine && other && importFault(mine, other, target!, isType)
        return fault ? [`${source.path}:${line} imports ${from}: ${fault}`] : []
      }),
    )
    expectNone(faults, 'see the end of docs/ARCHITECTURE.md')
  })

  it('never lead out of src, except from the command line to the SDK and to what deploy/ states of objectives', () => {
    const faults = server.flatMap((source) =>
      source.imports.flatMap(({ from, line }) => {
        const target = targetOf(source, from)
        const isInside = target === undefined || target.startsWith('src/') || target === 'package.json'
        const isSdk = target === 'sdk/src/client.ts' && source.path.startsWith('src/cli/')
        const isPromise = target === 'deploy/observability/objectives.ts' && source.path === 'src/gateway/objectives.ts'
        return isInside || isSdk || isPromise ? [] : [`${source.path}:${line} imports ${from}`]
      }),
    )
    expectNone(faults, 'the server knows nothing of tests, benches and clients')
  })

  it('are of packages that package.json names', () => {
    const packagesOf = (path: string) => {
      const { dependencies, devDependencies } = JSON.parse(readText(path)) as Record<string, object>
      return { production: Object.keys(dependencies!), development: Object.keys(devDependencies!) }
    }
    const [own, web] = [packagesOf('package.json'), packagesOf('web/package.json')]
    const production = new Set(own.production)
    const ofPage = new Set([...web.production, ...web.development, ...own.development])
    const development = new Set([...production, ...own.development, '@holdfast/sdk'])
    const faults = sources.flatMap((source) =>
      source.imports.flatMap(({ from, line }) => {
        if (from.startsWith('.') || from.startsWith('node:')) return []
        const name = from.split('/', from.startsWith('@') ? 2 : 1).join('/')
        const known = source.path.startsWith('src/')
          ? production
          : source.path.startsWith('web/')
            ? ofPage
            : development
        const isKnown = known.has(name)
        return isKnown || name === '@holdfast/sdk' ? [] : [`${source.path}:${line} imports ${name}`]
      }),
    )
    expectNone(faults, 'npm i --save-exact, and one line in docs/decisions/ that says why')
  })

  it('of the SDK are its own files alone', () => {
    const sdk = sources.filter(({ path }) => path.startsWith('sdk/src/'))
    const faults = sdk.flatMap((source) =>
      source.imports.filter(({ from }) => !from.startsWith('./')).map(({ from }) => `${source.path} imports ${from}`),
    )
    expectNone(faults, 'the SDK has no dependencies, so that it runs everywhere')
  })
})

describe('pure code', () => {
  // What may touch the world. Everything else is handed its time, its randomness and its settings.
  const impure = /^src\/(runtime|gateway|cli)\/|^src\/[^/]+\.ts$/
  const pure = server.filter(({ path }) => !impure.test(path))
  const banned: Record<string, string> = {
    'Date.now': 'take `now` as a parameter',
    'performance.now': 'take a clock as a parameter',
    'Math.random': 'take random bytes as a parameter, or use base/prng.ts with a seed',
    'process.env': 'read it in runtime/config.ts',
    'process.exit': 'answer an exit code',
    'crypto.randomUUID': 'take the id as a parameter',
  }

  it('calls no clock, no chance and no environment', () => {
    const faults = findIn(pure, (node) => {
      if (node.type === 'NewExpression' && nameOf(node.callee as Node) === 'Date')
        return (node.arguments as Node[]).length === 0 ? 'new Date(): take `now` as a parameter' : undefined
      const name = node.type === 'MemberExpression' ? nameOf(node) : undefined
      const advice = name && banned[name]
      return advice && `${name}: ${advice}`
    })
    expectNone(faults, 'pure code decides; the shell loads and writes')
  })

  it('imports nothing of Node', () => {
    const faults = pure.flatMap((source) =>
      source.imports
        .filter(({ from }) => from.startsWith('node:') || builtinModules.includes(from))
        .map(({ from, line }) => `${source.path}:${line} imports ${from}`),
    )
    expectNone(faults, 'put what needs it into src/runtime and hand it in')
  })
})

describe('code', () => {
  it('prints only in the command line, benches and tests; everything else logs', () => {
    const quiet = sources.filter(({ path }) => /^(src\/(?!cli\/)|sdk\/)/.test(path))
    const faults = findIn(quiet, (node) => {
      const name = node.type === 'MemberExpression' ? nameOf(node) : undefined
      return name?.startsWith('console.') || name === 'process.stdout.write' ? name : undefined
    })
    expectNone(faults, 'use the log that is handed in')
  })

  it('has no class without state', () => {
    const faults = findIn(sources, (node) => {
      if (node.type !== 'ClassDeclaration' && node.type !== 'ClassExpression') return undefined
      const members = (node.body as Node).body as Node[]
      return members.some((member) => member.type === 'PropertyDefinition') ? undefined : 'a class without a field'
    })
    expectNone(faults, 'write a function')
  })

  it('is in files and functions that a reader sees whole', () => {
    const long = sources.filter(({ lines }) => lines.length > fileLinesMax + 1)
    const tall = sources.flatMap((source) =>
      ownLinesOf(source)
        .filter(({ lines }) => lines > functionLinesMax)
        .map(({ name, line, lines }) => `${source.path}:${line} ${name} has ${lines} lines`),
    )
    expectNone(
      [...long.map(({ path, lines }) => `${path} has ${lines.length} lines`), ...tall],
      `at most ${fileLinesMax} lines a file and ${functionLinesMax} a function (without the functions in it): split it`,
    )
  })

  it('is in files that are named for what they hold', () => {
    const vague = /^(utils?|helpers?|manager|common|misc|lib|index|shared)(\.|$)/
    const faults = files.filter((path) => path.split('/').some((part) => part !== 'index.html' && vague.test(part)))
    expectNone(faults, 'name the file for the noun or the one thing it does')
  })

  it('says at the head of each file what it is for', () => {
    const faults = sources.filter(({ text }) => !/^(#!.*\n)?\/\/ \S/.test(text)).map(({ path }) => path)
    const migrations = files.filter((path) => path.endsWith('.sql') && !/^-- \S/.test(readText(path)))
    expectNone([...faults, ...migrations], 'one to five lines of comment: what it is for, and the invariant it keeps')
  })

  it('leaves nothing to do for later in a comment', () => {
    const left = /\b(TODO|FIXME|XXX|HACK)\b/
    const faults = sources.flatMap((source) =>
      source.comments.filter(({ value }) => left.test(value)).map((comment) => at(source, comment)),
    )
    const elsewhere = files.filter((path) => /\.(sql|ya?ml|sh)$/.test(path) && left.test(readText(path)))
    expectNone([...faults, ...elsewhere], 'do it, or open an issue')
  })

  it('re-exports nothing: a name is imported from where it is written', () => {
    const faults = findIn(server, (node) =>
      /^Export(All|Named)Declaration$/.test(node.type) && node.source ? 'export … from' : undefined,
    )
    expectNone(faults, 'import from the file that has it')
  })
})

describe('what nobody uses', () => {
  const entries = (path: string): boolean =>
    path === 'src/cli/holdfast.ts' ||
    path === 'sdk/src/client.ts' ||
    path === 'web/src/main.tsx' ||
    /^(test|bench)\/(.*\/)?(main|run|generate)\.ts$/.test(path) ||
    /\.test\.ts$/.test(path) ||
    /^(web\/)?[^/]+\.config\.ts$/.test(path)
  const bySource = new Map(sources.map((source) => [source.path, source]))

  it('is no file', () => {
    const reached = new Set<string>()
    const visit = (path: string) => {
      const source = bySource.get(path)
      if (!source || reached.has(path)) return
      reached.add(path)
      for (const { from } of source.imports) visit(targetOf(source, from) ?? '')
      for (const { text } of textsIn(source)) visit(posix.join(posix.dirname(path), text)) // forked, or named in a config
      for (const { text } of textsIn(source)) visit(text)
    }
    for (const { path } of sources) if (entries(path)) visit(path)
    expectNone(
      [...bySource.keys()].filter((path) => !reached.has(path)),
      'use it or delete it',
    )
  })

  it('is no export', () => {
    const used = new Map<string, Set<string>>()
    for (const source of sources) {
      for (const { from, names } of source.imports) {
        const target = targetOf(source, from)
        if (target === undefined) continue
        const known = used.get(target) ?? new Set()
        used.set(target, known)
        for (const name of names) known.add(name)
      }
    }
    const configs = sources.filter(({ path }) => path.endsWith('.config.ts'))
    const named = new Set(configs.flatMap((source) => [source.path, ...textsIn(source).map(({ text }) => text)]))
    const faults = sources
      .filter(({ path }) => !path.startsWith('sdk/') && !named.has(path))
      .flatMap(({ path, exports }) => {
        const names = used.get(path)
        if (names?.has('*')) return []
        return exports
          .filter(({ name, isType }) => !isType && !names?.has(name))
          .map(({ name, line }) => `${path}:${line} ${name}`)
      })
    expectNone(faults, 'drop `export`, or what it stands before')
  })

  it('is no bound', () => {
    const text = sources
      .filter(({ path }) => path !== 'src/base/limits.ts')
      .map((source) => source.text)
      .join('\n')
    const names = Object.keys(limits).filter((name) => !new RegExp(`limits\\.${name}\\b`).test(text))
    expectNone(names, 'delete it from src/base/limits.ts')
  })

  it('is no error code', () => {
    const others = server.filter(({ path }) => path !== 'src/base/errors.ts')
    const said = new Set(others.flatMap((source) => textsIn(source).map(({ text }) => text)))
    for (const node of others.flatMap(({ program }) => [...nodesIn(program)])) {
      if (node.type === 'Property') said.add(nameOf(node.key as Node) ?? '')
    }
    expectNone(
      Object.keys(errorTable).filter((code) => !said.has(code)),
      'delete it from src/base/errors.ts',
    )
  })
})

describe('packages', () => {
  it('are all used', () => {
    const manifest = JSON.parse(readText('package.json')) as Record<string, Record<string, string>>
    const packageOf = (from: string): string => from.split('/', from.startsWith('@') ? 2 : 1).join('/')
    const imported = (among: readonly Source[]) =>
      new Set(among.flatMap((source) => source.imports.map(({ from }) => packageOf(from))))
    const ofServer = imported(server)
    const ofAll = imported(sources)
    const words = new Set(
      sources.flatMap((source) => textsIn(source).flatMap(({ text }) => [text, ...text.split('/')])),
    )
    const isRun = (name: string): boolean => {
      const { bin = {} } = JSON.parse(readText(`node_modules/${name}/package.json`)) as { bin?: object }
      return Object.keys(bin).some((program) => words.has(program))
    }
    const idle = Object.keys(manifest.dependencies!).filter((name) => !ofServer.has(name))
    const idleInDevelopment = Object.keys(manifest.devDependencies!).filter(
      (name) => !ofAll.has(name) && !name.startsWith('@types/') && !isRun(name),
    )
    expectNone([...idle, ...idleInDevelopment], 'npm uninstall it')
  })
})

describe('tests', () => {
  it('wait for conditions, never for time', () => {
    // The simulator's time is its own, the crash test paces what it kills, the engine's contract has the database's clock, and
    // the stand-in of Stripe and the ways between two servers or cells are as slow as they are told.
    const paced =
      /^test\/(sim\/|chaos\/|support\/(eventually|replicated|stripe-stand-in|wide-area)\.ts|contract\/engine-postgres\.test\.ts)/
    const timeless = sources.filter((source) => isTest(source) && !paced.test(source.path))
    const imports = timeless.flatMap((source) =>
      source.imports.filter(({ from }) => from === 'node:timers/promises').map(({ line }) => `${source.path}:${line}`),
    )
    const calls = findIn(timeless, (node) =>
      node.type === 'CallExpression' && nameOf(node.callee as Node) === 'setTimeout' ? 'setTimeout' : undefined,
    )
    expectNone([...imports, ...calls], 'use eventually() of test/support, which asks with a deadline')
  })

  it('reach every route of the API', () => {
    const { paths } = JSON.parse(readText('docs/generated/openapi.json')) as { paths: Record<string, object> }
    const asked = sources.filter(isTest).flatMap(requestsIn)
    const faults = Object.entries(paths).flatMap(([path, operations]) => {
      const pattern = path.replaceAll('.', '\\.').replace(/\{[^}]+\}/g, '[^/?]+')
      return Object.keys(operations)
        .map((method) => method.toUpperCase())
        .filter((method) => !asked.some((request) => new RegExp(`^${method} ${pattern}(\\?.*)?$`).test(request)))
        .map((method) => `${method} ${path}`)
    })
    expectNone(faults, 'write a test that asks it')
  })
})

describe('the repository', () => {
  it('has its generated files up to date', { timeout: 60_000 }, async () => {
    const stale: string[] = []
    for await (const { path, text } of generatedFiles(await createDatabase())) {
      if (!files.includes(path) || readText(path) !== text) stale.push(path)
    }
    expectNone(stale, 'npm run generate, and commit what it changes')
  })

  it('names no machine, no registry and no secret', () => {
    const rules: [RegExp, string][] = [
      [/\/(work|root|home|Users)\/[\w.-]/, 'a path of some machine'],
      [/https?:\/\/(registry\.|[^\s/"']*(npmjs|yarnpkg)\.)/, 'the address of a registry'],
      [
        /\b[sp]k_live_[A-Za-z0-9]{8}|-----BEGIN [A-Z ]*PRIVATE KEY|\bgh[po]_[A-Za-z0-9]{20}|\bnpm_[A-Za-z0-9]{20}|\bAKIA[A-Z0-9]{16}/,
        'a secret',
      ],
    ]
    const texts = files.filter((path) => /\.(ts|js|json|jsonl|md|sql|ya?ml|sh|txt)$|(^|\/)[^.]+$|^\.npmrc$/.test(path))
    const faults = texts.flatMap((path) =>
      readText(path)
        .split('\n')
        .flatMap((line, index) =>
          rules.filter(([pattern]) => pattern.test(line)).map(([, what]) => `${path}:${index + 1} ${what}`),
        ),
    )
    expectNone(faults, 'take it out; a path belongs into a flag, a secret nowhere')
  })

  it('locks its packages by hash, whatever the registry', () => {
    const lock = JSON.parse(readText('package-lock.json')) as {
      packages: Record<string, { resolved?: string; integrity?: string; link?: boolean }>
    }
    const faults = Object.entries(lock.packages).flatMap(([name, { resolved, integrity, link }]) => {
      if (resolved && !link) return [`${name} is resolved to a host`]
      const isOurs = link || !name.includes('node_modules/')
      return integrity || isOurs ? [] : [`${name} has no integrity`]
    })
    expectNone(faults, 'npm i with `omit-lockfile-registry-resolved=true`')
  })

  it('has no link in a document that leads nowhere', () => {
    const faults = files
      .filter((path) => path.endsWith('.md'))
      .flatMap((path) =>
        [...readText(path).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link]) => {
          const target = link!.split('#')[0]!
          if (target === '' || /^[a-z]+:/.test(target)) return []
          return existsSync(posix.join(repository, posix.dirname(path), target)) ? [] : [`${path} links to ${link}`]
        }),
      )
    expectNone(faults, 'correct the link')
  })
})

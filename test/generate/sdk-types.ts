// sdk/src/generated/api.ts: the SDK's types, by the generator that its package names. It is the SDK's own dependency, since
// it needs an older TypeScript than the server.
import { createRequire } from 'node:module'
import { repository } from '../tidy/sources.ts'

type Generator = {
  default(schema: unknown): Promise<unknown>
  astToString(ast: unknown): string
  COMMENT_HEADER: string
}

export async function sdkTypes(openApi: string): Promise<string> {
  const generator: Generator = createRequire(`${repository}/sdk/package.json`)('openapi-typescript')
  return `${generator.COMMENT_HEADER}${generator.astToString(await generator.default(JSON.parse(openApi)))}`
}

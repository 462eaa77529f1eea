// npm run generate: writes every generated file. With --check it writes none, says which are out of date, and ends with 1.
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { startEmbedded } from '../src/runtime/embedded.ts'
import { throwAwaySettings } from '../src/runtime/embedded-settings.ts'
import { generatedFiles } from './generate/files.ts'
import { readText, repository } from './tidy/sources.ts'

async function generate(check: boolean): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-generate-'))
  const server = await startEmbedded({ folder, settings: throwAwaySettings, durable: false })
  let stale = 0
  try {
    for await (const { path, text } of generatedFiles(server.url)) {
      if (existsSync(join(repository, path)) && readText(path) === text) continue
      stale++
      console.log(`${path} ${check ? 'is out of date' : 'written'}`)
      if (check) continue
      await mkdir(dirname(join(repository, path)), { recursive: true })
      await writeFile(join(repository, path), text)
    }
  } finally {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
  if (stale === 0) console.log('All generated files are up to date.')
  else if (check) console.log('Run npm run generate, and commit what it changes.')
  return check && stale > 0 ? 1 : 0
}

process.exitCode = await generate(process.argv.includes('--check'))

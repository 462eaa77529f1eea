// npm run build:web: builds the control room and its compressed copies aside, and puts the whole in place at once, so that a cell that
// serves it, or another build beside this one, never sees half of it.
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { build } from 'vite'

const folder = import.meta.dirname
const made = join(folder, `dist-${process.pid}`)
const dist = join(folder, 'dist')

// A test or a developer's shell may say otherwise; React would then be built to be debugged, and be several times as slow.
process.env.NODE_ENV = 'production'

try {
  await build({ root: folder, logLevel: 'warn', build: { outDir: made, emptyOutDir: true } })
  await compress(made)
  await rm(dist, { recursive: true, force: true })
  await rename(made, dist).catch(unlessAnother)
} finally {
  await rm(made, { recursive: true, force: true })
}

/** Who was faster has built the same. */
function unlessAnother(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
}

/** Beside each text, at the level that takes longest: it is done once. */
async function compress(into: string): Promise<void> {
  for (const name of await readdir(into, { recursive: true })) {
    if (!/\.(html|js|css|json|svg|webmanifest)$/.test(name)) continue
    const bytes = await readFile(join(into, name))
    await writeFile(join(into, `${name}.br`), brotliCompressSync(bytes))
    await writeFile(join(into, `${name}.gz`), gzipSync(bytes, { level: 9 }))
  }
}

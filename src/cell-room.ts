// What a cell has for its operators' control room: its pages, and what they are told before they have a key.
import { fileURLToPath } from 'node:url'
import type { AppOptions } from './gateway/app.ts'
import { developmentKeys } from './modules/shops/service.ts'
import type { Config } from './runtime/config.ts'

const builtWebFolder = fileURLToPath(new URL('../web/dist', import.meta.url))

/** `webFolder`: where it was built, if not where npm run build:web puts it. */
export const pagesOf = (
  { profile, corsOrigins }: Pick<Config, 'profile'> & Partial<Pick<Config, 'corsOrigins'>>,
  webFolder = builtWebFolder,
): Pick<AppOptions, 'profile' | 'developmentKey' | 'corsOrigins' | 'webFolder'> => ({
  profile,
  developmentKey: profile === 'development' ? developmentKeys.secret : null,
  corsOrigins,
  webFolder,
})

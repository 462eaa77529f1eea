// Which release this is, as package.json says.
import manifest from '../../package.json' with { type: 'json' }

export const release: string = manifest.version

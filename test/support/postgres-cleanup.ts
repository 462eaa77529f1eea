// Runs in every test file: what createDatabase made there goes when the file ends.
import { afterAll } from 'vitest'
import { dropDatabases } from './postgres.ts'

afterAll(dropDatabases)

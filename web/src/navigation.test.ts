// Which pages a key sees, and what keys of the keyboard mean.
import { expect, test } from 'vitest'
import { meaningOf, places, placesFor } from './navigation.ts'

const press = (key: string, more: { isTyping?: boolean; hasModifier?: boolean } = {}) => ({
  key,
  isTyping: false,
  hasModifier: false,
  ...more,
})

test('a key sees the pages that its scopes can fill, and chaos in the development profile alone', () => {
  const names = (scopes: string[], isDevelopment: boolean) =>
    placesFor(new Set(scopes), isDevelopment).map(({ name }) => name)
  expect(names([], false)).toEqual(['Now'])
  expect(names(['orders:read', 'stock:read'], false)).toEqual(['Now', 'Orders', 'Stock', 'Payments'])
  expect(names(['cells:write'], true)).toEqual(['Now', 'Chaos'])
  expect(names(['cells:write'], false)).toEqual(['Now'])
})

test('g and a letter goes to a page; no two pages have the same letter', () => {
  expect(meaningOf(press('g'), false, places)).toEqual({ kind: 'prefix' })
  expect(meaningOf(press('o'), true, places)).toEqual({ kind: 'go', path: '/orders' })
  expect(meaningOf(press('o'), false, places)).toBe(null)
  expect(new Set(places.map(({ letter }) => letter)).size).toBe(places.length)
})

test('keys mean nothing while somebody types, and none of the browser’s own are taken', () => {
  expect(meaningOf(press('j', { isTyping: true }), false, places)).toBe(null)
  expect(meaningOf(press('k', { hasModifier: true }), false, places)).toBe(null)
  expect(meaningOf(press('?'), false, places)).toEqual({ kind: 'help' })
  expect(meaningOf(press('j'), false, places)).toEqual({ kind: 'step', by: 1 })
})

-- The load for wrk: the orders of shapes.ts. Arguments: over how many SKUs (two different ones an order; of one, the same
-- twice); the test provider's method, if orders are paid; `wait` to be answered when they are.
-- Prints its findings as one line of JSON.

local skus, format, random = 50, string.format, math.random
local body = '{"currency":"EUR","lines":[{"sku":"SKU-%02d","quantity":1,"unit_price":{"amount":1999,"currency":"EUR"}},'
  .. '{"sku":"SKU-%02d","quantity":1,"unit_price":{"amount":1999,"currency":"EUR"}}],"customer":{"external_id":"customer-%06d"}'
local head

function init(args)
  skus = tonumber(args[1])
  local source = io.open("/dev/urandom", "rb")
  local a, b, c, d = source:read(4):byte(1, 4)
  source:close()
  local tail, prefer = "}", ""
  if args[2] then tail = ',"payment":{"provider":"test","method":"' .. args[2] .. '"}}' end
  if args[3] == "wait" then prefer = "\r\nPrefer: wait=20" end
  local whole = body .. tail
  math.randomseed(((a * 256 + b) * 256 + c) * 256 + d)
  head = "POST /v1/orders HTTP/1.1\r\nHost: " .. wrk.host .. ":" .. wrk.port
    .. "\r\nAuthorization: Bearer sk_dev\r\nContent-Type: application/json\r\nContent-Length: "
    .. #format(whole, 0, 0, 0) .. prefer .. "\r\nIdempotency-Key: %08x-%04x-4%03x-%04x-%06x%06x\r\n\r\n" .. whole
end

function request()
  local first = random(0, skus - 1)
  local second = first
  if skus > 1 then second = (first + random(1, skus - 1)) % skus end
  return format(head, random(0, 0xffffffff), random(0, 0xffff), random(0, 0xfff), random(0x8000, 0xbfff),
    random(0, 0xffffff), random(0, 0xffffff), first, second, random(0, 99999))
end

function done(summary, latency)
  local errors = summary.errors
  print(format('{"answers":%d,"microseconds":%d,"p50":%d,"p99":%d,"not_accepted":%d,"broken":%d}', summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
